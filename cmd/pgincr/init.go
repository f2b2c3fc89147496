package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pgincr/pgincr/pkg/keys"
	"github.com/pgincr/pgincr/pkg/repo"
)

type initCommand struct {
	connectionFlags `embed:"" group:"connection"`
	jsonFlag        `embed:""`

	PGData            string   `name:"pgdata" short:"D" placeholder:"DIR" env:"PGDATA" help:"Data directory to read the identity from, instead of asking the server."`
	Recipient         []string `sep:"none" placeholder:"KEY" help:"Encrypt the cluster for this public key, age1… or ssh-…, or for those in a file; may be repeated."`
	BackupRecipient   []string `sep:"none" placeholder:"KEY" help:"The same for a database host, which takes backups and archives WAL but reads neither; may be repeated."`
	EncryptPassphrase bool     `help:"Encrypt the cluster for the passphrase of --passphrase-file, --passphrase-command or PGINCR_PASSPHRASE."`
}

// Help is shown below the summary.
func (*initCommand) Help() string {
	return "The entry is bound to the cluster's system identifier: backups and WAL of another cluster " +
		"are refused from then on. Running it again for the same cluster changes nothing. " +
		"An entry is encrypted from the beginning or not at all; pgincr key generate makes keys, and docs/encryption.md " +
		"says who can read what."
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
	options, err := c.options(ctx, p)
	if err != nil {
		return err
	}
	cluster, created, err := repo.Init(ctx, st, info, options...)
	if err != nil {
		return err
	}
	if c.JSON {
		return p.printJSON(struct {
			repo.ClusterInfo
			Created   bool `json:"created"`
			Encrypted bool `json:"encrypted"`
		}{cluster.Info, created, cluster.Encrypted()})
	}
	if p.common.Quiet {
		return nil
	}
	state := "is there already"
	if created {
		state = "created"
	}
	if cluster.Encrypted() {
		state += ", encrypted,"
	}
	return p.printf("cluster %s %s in %s, bound to system identifier %d\n",
		info.Name, state, st, info.SystemIdentifier)
}

// options says whether a new entry is encrypted, and for whom, and with what an encrypted one is opened.
func (c *initCommand) options(ctx context.Context, p *program) ([]repo.Option, error) {
	with, err := p.credentials()
	if err != nil {
		return nil, err
	}
	all, err1 := recipients(c.Recipient, keys.All)
	hosts, err2 := recipients(c.BackupRecipient, keys.Backup)
	if err := errors.Join(err1, err2); err != nil {
		return nil, &usageError{err: err, command: "pgincr init"}
	}
	e := repo.Encryption{Recipients: append(all, hosts...)}
	switch {
	case c.EncryptPassphrase && with.Passphrase == nil:
		return nil, &usageError{err: errors.New("--encrypt-passphrase: no passphrase was given"), command: "pgincr init"}
	case c.EncryptPassphrase:
		if e.Passphrase, err = with.Passphrase(ctx); err != nil {
			return nil, err
		}
	case len(hosts) > 0 && len(all) == 0:
		return nil, &usageError{
			err:     errors.New("--backup-recipient: nobody could read these backups; give a --recipient, too"),
			command: "pgincr init",
		}
	case len(all) == 0:
		return []repo.Option{repo.WithCredentials(with)}, nil
	}
	return []repo.Option{repo.WithCredentials(with), repo.WithEncryption(e)}, nil
}

// identity reads who the cluster is, from its directory if that is given, otherwise from the server.
func (c *initCommand) identity(ctx context.Context) (repo.ClusterInfo, error) {
	if c.PGData != "" {
		return directoryIdentity(ctx, c.PGData)
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
func directoryIdentity(ctx context.Context, dir string) (info repo.ClusterInfo, err error) {
	control, err := readControl(ctx, dir)
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
