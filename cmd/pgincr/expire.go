package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/expire"
)

type expireCommand struct {
	jsonFlag `embed:""`

	KeepFull    int  `placeholder:"N" help:"Keep the newest N full backups and all that is built on them."`
	KeepDays    int  `placeholder:"D" help:"Keep what is needed to restore any point of the last D days."`
	KeepDaily   int  `placeholder:"N" help:"Keep the newest backup of each of the last N days that have one (UTC)."`
	KeepWeekly  int  `placeholder:"N" help:"The same by ISO weeks, without the WAL behind these backups."`
	KeepMonthly int  `placeholder:"N" help:"The same by months, without the WAL behind these backups."`
	WALDays     int  `name:"wal-days" placeholder:"D" help:"Keep continuous WAL for the last D days only; older backups stay restorable to their own end."`
	Damaged     bool `help:"Remove backups that cannot be restored, too."`
	DryRun      bool `help:"Say what would be done and do nothing."`
}

// Help is shown below the summary.
func (*expireCommand) Help() string {
	return "A backup is kept if one of the rules wants it, if it is pinned or used, or if such a backup is built on it; " +
		"the newest full backup and the newest backup always are. WAL is kept without a gap from the oldest backup on " +
		"that --keep-full, --keep-days or --keep-daily wants; other backups keep the WAL to their own end. What " +
		"interrupted backups left goes, unless the next backup of the type can go on with it. " +
		"Exit code 3 says that there are backups that cannot be restored."
}

// Run implements the command.
func (c *expireCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	res, err := expire.Run(ctx, cluster, expire.Options{
		Policy: expire.Policy{
			KeepFull: c.KeepFull, KeepDays: c.KeepDays, KeepDaily: c.KeepDaily, KeepWeekly: c.KeepWeekly,
			KeepMonthly: c.KeepMonthly, WALDays: c.WALDays, Damaged: c.Damaged,
		},
		DryRun: c.DryRun, Now: p.clock(), Log: p.log,
	})
	if errors.Is(err, expire.ErrPolicy) {
		return &usageError{err: err, hint: "--keep-full 2 keeps two full backups and what is built on them"}
	}
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		err = p.printJSON(res)
	case !p.common.Quiet || c.DryRun:
		err = p.printExpired(res)
	}
	if n := res.Damaged(); err == nil && n > 0 {
		err = findings("cluster %q: %d backups cannot be restored", p.common.Cluster, n)
	}
	return err
}

// printExpired prints what was done with each backup and each stretch of WAL, and why.
func (p *program) printExpired(res *expire.Result) error {
	rows := []string{"BACKUP\tFINISHED\tSTORED\tACTION\tWHY"}
	for _, b := range res.Backups {
		finished := orDash(strings.NewReplacer("T", " ", "Z", "").Replace(b.FinishedAt))
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s",
			b.ID, finished, human.Bytes(b.StoredBytes), b.Action, strings.Join(b.Reasons, "; ")))
	}
	for _, id := range res.Resumable {
		rows = append(rows, fmt.Sprintf("%s\t-\t-\t%s\tit was interrupted, and the next backup of its type goes on with it",
			id, expire.ActionKeep))
	}
	for _, id := range res.Unfinished {
		rows = append(rows, fmt.Sprintf("%s\t-\t-\t%s\tit was interrupted", id, expire.ActionRemove))
	}
	if len(res.Backups)+len(res.Resumable)+len(res.Unfinished) > 0 {
		if err := p.printTable(rows); err != nil {
			return err
		}
	}
	if len(res.WAL) > 0 {
		rows = []string{"WAL FROM\tTO\tSEGMENTS\tACTION\tWHY"}
		for _, w := range res.WAL {
			action := expire.ActionRemove
			if w.Keep {
				action = expire.ActionKeep
			}
			rows = append(rows, fmt.Sprintf("%s\t%s\t%d\t%s\t%s", w.First, w.Last, w.Segments, action, w.Reason))
		}
		if err := p.printTable(rows); err != nil {
			return err
		}
	}
	done := "removed"
	if res.DryRun {
		done = "would be removed"
	}
	return p.printf("%d backups of %s, %d WAL files and %d page maps %s\n",
		res.Removed()+len(res.Unfinished), human.Bytes(res.StoredBytes), res.WALFiles, res.Maps, done)
}
