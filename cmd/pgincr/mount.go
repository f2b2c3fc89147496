package main

import (
	"context"
	"os"

	"github.com/pgincr/pgincr/pkg/mount"
)

type mountCommand struct {
	Backup     string `arg:"" placeholder:"ID" help:"An id, latest or latest-full."`
	Dir        string `arg:"" placeholder:"DIR" help:"An empty directory."`
	AllowOther bool   `help:"Let other users read, too, as far as the modes of the files allow; always so for root."`
	Cache      int    `placeholder:"MB" default:"64" help:"Megabytes of decoded pages that are kept in memory (default: ${default})."`
}

// Help is shown below the summary.
func (*mountCommand) Help() string {
	return "Shows the data directory of a backup, read-only, without restoring it: pages are put together when they " +
		"are read. It holds the WAL that the backup needs; with a writable overlay above it PostgreSQL starts on it. " +
		"The command ends when DIR is unmounted, or by SIGINT or SIGTERM, both with exit code 0. Needs Linux with FUSE."
}

// Run implements the command.
func (c *mountCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openReadable(ctx)
	if err != nil {
		return err
	}
	m, err := findBackup(ctx, cluster, c.Backup)
	if err != nil {
		return err
	}
	return mount.Run(ctx, cluster, m, mount.Options{
		Dir: c.Dir, Cache: int64(c.Cache) << 20, AllowOther: c.AllowOther || os.Geteuid() == 0, Log: p.log,
		Ready: func() { p.log.Info("mounted", "backup", m.ID, "dir", c.Dir) },
	})
}
