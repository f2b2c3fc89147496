package main

import (
	"context"
	"errors"
	"os"
	"os/user"

	"github.com/pgincr/pgincr/pkg/repo"
)

type pinCommand struct {
	Backup string `arg:"" placeholder:"ID" help:"An id, latest or latest-full."`
	Note   string `placeholder:"TEXT" help:"Why, for people."`
}

// Help is shown below the summary.
func (*pinCommand) Help() string {
	return "A pinned backup, what it is built on and the WAL to its own end are never removed by pgincr expire. Pinning " +
		"again changes nothing."
}

// Run implements the command.
func (c *pinCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	m, err := findBackup(ctx, cluster, c.Backup)
	if err != nil {
		return err
	}
	created, err := cluster.Pin(ctx, repo.Pin{Backup: m.ID, At: p.clock(), By: whoami(), Note: c.Note})
	if errors.Is(err, repo.ErrNotFound) {
		return &missingBackupError{Cluster: cluster.Info.Name, Backup: m.ID}
	}
	if err != nil || p.common.Quiet {
		return err
	}
	if !created {
		return p.printf("backup %s is pinned already\n", m.ID)
	}
	return p.printf("backup %s pinned\n", m.ID)
}

type unpinCommand struct {
	Backup string `arg:"" placeholder:"ID" help:"An id, latest or latest-full."`
}

// Help is shown below the summary.
func (*unpinCommand) Help() string {
	return "The next pgincr expire may remove the backup. One that is not pinned is no error."
}

// Run implements the command.
func (c *unpinCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	id := c.Backup
	if _, _, err := repo.ParseID(id); err != nil { // the pin of a backup that is damaged can be taken away
		m, err := findBackup(ctx, cluster, id)
		if err != nil {
			return err
		}
		id = m.ID
	}
	removed, err := cluster.Unpin(ctx, id)
	if err != nil || p.common.Quiet {
		return err
	}
	if !removed {
		return p.printf("backup %s is not pinned\n", id)
	}
	return p.printf("backup %s unpinned\n", id)
}

// whoami names who runs this, as well as can be told.
func whoami() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
