package main

import (
	"context"
	"errors"
	"time"

	"github.com/pgincr/pgincr/pkg/receive"
	"github.com/pgincr/pgincr/pkg/repo"
)

type receiveCommand struct {
	connectionFlags `embed:"" group:"connection"`

	Slot          string        `placeholder:"NAME" default:"pgincr" help:"Replication slot, which keeps WAL on the server while nobody receives it (default: ${default})."`
	CreateSlot    bool          `help:"Create the slot if it is not there."`
	FlushInterval time.Duration `placeholder:"TIME" default:"1s" help:"Store what was received of a segment this often: how much a lost server loses (default: ${default})."`
	AfterGap      bool          `help:"Go on although WAL is gone from the server that the repository does not have."`
	Compress      string        `short:"Z" placeholder:"METHOD" default:"zstd" help:"Compression: zstd, zstd:1 to zstd:19, lz4 or none (default: ${default})."`
}

// Help is shown below the summary.
func (*receiveCommand) Help() string {
	return "Runs until it is ended by SIGTERM or SIGINT, then stores what it has. Segments and page maps arrive as with " +
		"archive-push; of the segment that is being written, what there is is stored every --flush-interval, and restores " +
		"use it. A server or repository that is away is waited for. The role needs REPLICATION, and pg_hba.conf a line " +
		"for the database replication. One receiver of a cluster at a time: exit code 4."
}

// Validate implements kong's check across flags.
func (c *receiveCommand) Validate() error {
	if c.FlushInterval < 0 || c.FlushInterval > time.Hour {
		return errors.New("--flush-interval: must be from 0 to 1h")
	}
	return nil
}

// Run implements the command.
func (c *receiveCommand) Run(ctx context.Context, p *program) error {
	z, err := repo.ParseCompression(c.Compress)
	if err != nil {
		return &usageError{err: err, command: "pgincr receive-wal"}
	}
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	err = receive.Run(ctx, cluster, receive.Options{
		Server: c.config(), Slot: c.Slot, CreateSlot: c.CreateSlot, FlushInterval: c.FlushInterval,
		AfterGap: c.AfterGap, Compression: z, Log: p.log, Clock: p.clock,
	})
	if errors.Is(err, repo.ErrExists) {
		return &archivedError{err}
	}
	return err
}
