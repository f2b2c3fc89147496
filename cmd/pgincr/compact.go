package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/compact"
	"github.com/pgincr/pgincr/pkg/repo"
)

type compactCommand struct {
	jsonFlag    `embed:""`
	politeFlags `embed:""`

	Backup string `arg:"" placeholder:"ID" help:"An id or latest."`
	DryRun bool   `help:"Say what would be done and do nothing."`
}

// Help is shown below the summary.
func (*compactCommand) Help() string {
	return "The server is not needed. The new backup holds the same state as the incremental one and stands for it " +
		"and all that it is built on, also in the chains of later ones. Nothing is removed: the old chain stays " +
		"until expire takes it. Compacting what is full already does nothing."
}

// compactDocument is what compact --json prints.
type compactDocument struct {
	Cluster       string         `json:"cluster"`
	From          string         `json:"from"`
	Backup        *repo.Manifest `json:"backup"` // null after a dry run
	Existing      bool           `json:"existing"`
	DryRun        bool           `json:"dry_run"`
	Chain         []string       `json:"chain"`
	Files         int64          `json:"files"`
	FramesCopied  int64          `json:"frames_copied"`
	FramesEncoded int64          `json:"frames_encoded"`
	BytesToRead   int64          `json:"bytes_to_read"`
	BytesToCopy   int64          `json:"bytes_to_copy"`
	BytesToEncode int64          `json:"bytes_to_encode"`
	Seconds       float64        `json:"seconds"`
}

// Run implements the command.
func (c *compactCommand) Run(ctx context.Context, p *program) error {
	begun := p.clock()
	p.beginPolitely(c.politeFlags)
	cluster, err := p.openReadable(ctx)
	if err != nil {
		return err
	}
	m, err := findBackup(ctx, cluster, c.Backup)
	if err != nil {
		return err
	}
	o := compact.Options{
		Jobs: p.common.jobs(), DryRun: c.DryRun, Version: buildVersion(), Log: p.log,
		Progress: new(compact.Progress), Clock: p.clock,
	}
	stop := p.watch(ctx, o.Progress.Snapshot)
	r, err := compact.Run(ctx, cluster, m, o)
	stop()
	if err != nil {
		return err
	}
	if c.JSON {
		return p.printJSON(compactDocument{
			Cluster: p.common.Cluster, From: m.ID, Backup: r.Backup, Existing: r.Existing, DryRun: c.DryRun, Chain: r.Chain,
			Files: r.Plan.FilesTotal, FramesCopied: r.Plan.FramesCopied, FramesEncoded: r.Plan.FramesRead,
			BytesToRead: r.Plan.BytesToRead, BytesToCopy: r.Plan.BytesToCopy, BytesToEncode: r.Plan.BytesToEncode,
			Seconds: p.clock().Sub(begun).Seconds(),
		})
	}
	if p.common.Quiet {
		return nil
	}
	return p.printCompacted(m, r, durationText(p.clock().Sub(begun)))
}

// printCompacted says what was done, or would be.
func (p *program) printCompacted(m *repo.Manifest, r *compact.Result, took string) error {
	switch {
	case r.Existing && r.Backup.ID == m.ID:
		return p.printf("backup %s: is full already\n", m.ID)
	case r.Existing:
		return p.printf("backup %s: is there already, compacted from %s\n", r.Backup.ID, m.ID)
	}
	rows := []string{
		"  chain\t" + strings.Join(r.Chain, " → "),
		fmt.Sprintf("  frames\t%d copied as they are stored, %d put together anew", r.Plan.FramesCopied, r.Plan.FramesRead),
	}
	var err error
	if r.Backup == nil {
		err = p.printf("backup %s: would be compacted into %s\n", m.ID, repo.CompactedID(m.ID))
		rows = append(rows, fmt.Sprintf("  bytes\t%s to read, %s to copy, %s to compress", human.Bytes(r.Plan.BytesToRead),
			human.Bytes(r.Plan.BytesToCopy), human.Bytes(r.Plan.BytesToEncode)))
	} else {
		err = p.printf("backup %s: full, compacted from %s in %s\n", r.Backup.ID, m.ID, took)
		rows = append(rows, fmt.Sprintf("  bytes\t%s read, %s stored", human.Bytes(r.Plan.BytesToRead),
			human.Bytes(r.Backup.StoredBytes)))
	}
	if err != nil {
		return err
	}
	return p.printTable(rows)
}
