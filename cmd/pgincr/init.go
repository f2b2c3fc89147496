package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pgincr/pgincr/pkg/repo"
)

type initCommand struct {
	connectionFlags `embed:"" group:"connection"`
	jsonFlag        `embed:""`

	PGData string `name:"pgdata" short:"D" placeholder:"DIR" env:"PGDATA" help:"Data directory to read the identity from, instead of asking the server."`
}

// Help is shown below the summary.
func (*initCommand) Help() string {
	return "The entry is bound to the cluster's system identifier: backups and WAL of another cluster " +
		"are refused from then on. Running it again for the same cluster changes nothing."
}

// Run implements the command.
func (c *initCommand) Run(ctx context.Context, p *program) error {
	st, err := p.openStore(ctx)
	if err != nil {
		return err
	}
	info, err := c.identity(ctx)
	if err != nil {
		return err
	}
	info.Name = p.common.Cluster
	if c.PGData != "" {
		if err := verifyOutside(p.common.Repo, c.PGData); err != nil {
			return err
		}
	}
	cluster, created, err := repo.Init(ctx, st, info)
	if err != nil {
		return err
	}
	if c.JSON {
		return p.printJSON(struct {
			repo.ClusterInfo
			Created bool `json:"created"`
		}{cluster.Info, created})
	}
	if p.common.Quiet {
		return nil
	}
	state := "is there already"
	if created {
		state = "created"
	}
	return p.printf("cluster %s %s in %s, bound to system identifier %d\n",
		info.Name, state, st, info.SystemIdentifier)
}

// identity reads who the cluster is, from its directory if that is given, otherwise from the server.
func (c *initCommand) identity(ctx context.Context) (repo.ClusterInfo, error) {
	if c.PGData != "" {
		return directoryIdentity(c.PGData)
	}
	s, err := c.connect(ctx)
	if err != nil {
		return repo.ClusterInfo{}, err
	}
	i := s.Info()
	return repo.ClusterInfo{
		SystemIdentifier: i.SystemIdentifier, PGVersion: i.Version, Geometry: i.Geometry,
	}, s.Close(ctx)
}

// directoryIdentity reads global/pg_control and PG_VERSION; the minor version stays unknown.
func directoryIdentity(dir string) (info repo.ClusterInfo, err error) {
	control, err := readControl(dir)
	if err != nil {
		return info, err
	}
	path := filepath.Join(dir, "PG_VERSION")
	b, err := os.ReadFile(path)
	if err != nil {
		return info, err
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return info, fmt.Errorf("%s: %w", path, err)
	}
	return repo.ClusterInfo{
		SystemIdentifier: control.SystemIdentifier,
		PGVersion:        major * 10000,
		Geometry:         control.Geometry,
	}, nil
}
