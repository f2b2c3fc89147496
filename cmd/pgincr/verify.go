package main

import (
	"context"
	"fmt"

	"github.com/pgincr/pgincr/pkg/verify"
)

type verifyCommand struct {
	jsonFlag `embed:""`

	Backups []string `arg:"" optional:"" name:"id" placeholder:"ID" help:"Ids, latest or latest-full (default: all backups)."`
}

// Help is shown below the summary.
func (*verifyCommand) Help() string {
	return "Every byte that a restore of these backups would need is read and compared with its checksum: their chains, " +
		"page by page, and the WAL they need. Nothing is written. Exit code 3 says that a backup cannot be restored whole."
}

// Run implements the command.
func (c *verifyCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	progress := new(verify.Progress)
	stop := p.watch(ctx, progress.Snapshot)
	r, err := verify.Run(ctx, cluster, verify.Options{IDs: c.Backups, Jobs: p.common.jobs(), Progress: progress})
	stop()
	if err != nil {
		return err
	}
	if c.JSON {
		err = p.printJSON(r)
	} else {
		err = p.printVerified(r)
	}
	if err != nil || r.OK {
		return err
	}
	bad := 0
	for _, b := range r.Backups {
		if !b.OK {
			bad++
		}
	}
	return findings("cluster %q: %d of %d backups cannot be restored whole", p.common.Cluster, bad, len(r.Backups))
}

func (p *program) printVerified(r *verify.Result) error {
	for _, b := range r.Backups {
		if b.OK && p.common.Quiet {
			continue
		}
		verdict := "ok"
		if !b.OK {
			verdict = "DAMAGED"
		}
		if err := p.printf("%s  %s  %d files, %d frames, %s\n", b.ID, verdict, b.Files, b.Frames,
			bytesText(b.Bytes)); err != nil {
			return err
		}
		for _, problem := range b.Problems {
			if err := p.printf("  %s\n", problemText(problem)); err != nil {
				return err
			}
		}
		if b.More > 0 {
			if err := p.printf("  and %d more\n", b.More); err != nil {
				return err
			}
		}
	}
	return nil
}

// problemText names the file, the block and the backup that stores them.
func problemText(p verify.Problem) string {
	text := p.Cause
	if p.Block != nil {
		text = fmt.Sprintf("block %d: %s", *p.Block, text)
	}
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	if p.In != "" {
		text += fmt.Sprintf(" (stored in %s)", p.In)
	}
	return text
}
