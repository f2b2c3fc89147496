package main

import (
	"context"
	"fmt"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

// windowsDocument is what list --windows --json prints.
type windowsDocument struct {
	Windows []restore.Window `json:"windows"`
	Gaps    []restore.Gap    `json:"gaps"`
}

// windows lists what can be restored.
func (c *listCommand) windows(
	ctx context.Context, p *program, cluster *repo.Cluster, backups []*repo.Manifest,
) error {
	if err := cluster.VerifyReadsData(); err != nil { // history files are WAL
		return err
	}
	found, gaps, err := restore.Windows(ctx, cluster, backups)
	if err != nil {
		return err
	}
	if c.JSON {
		err = p.printJSON(windowsDocument{append([]restore.Window{}, found...), append([]restore.Gap{}, gaps...)})
	} else {
		err = p.printWindows(found, gaps)
	}
	lost := 0
	for _, g := range gaps {
		if !g.Expired {
			lost++
		}
	}
	if err == nil && lost > 0 {
		err = findings("cluster %q: archived WAL is missing in %d places", p.common.Cluster, lost)
	}
	return err
}

func (p *program) printWindows(found []restore.Window, gaps []restore.Gap) error {
	if len(found) == 0 {
		p.log.Info("nothing can be restored yet", "cluster", p.common.Cluster)
	} else {
		rows := []string{"TIMELINE\tFROM\tFROM LSN\tTO LSN\tFIRST BACKUP\tENDS BECAUSE"}
		for _, w := range found {
			ends := "the archive ends there"
			if w.Missing != "" {
				ends = "segment " + w.Missing + " is missing"
			}
			rows = append(rows, fmt.Sprintf("%d\t%s\t%s\t%s\t%s\t%s",
				w.Timeline, human.Time(w.FromTime), w.From, w.To, w.Backup, ends))
		}
		if err := p.printTable(rows); err != nil {
			return err
		}
	}
	if len(gaps) == 0 {
		return nil
	}
	rows := []string{"MISSING FROM\tTO\tSEGMENTS\tBECAUSE"}
	for _, g := range gaps {
		because := "lost, or never archived"
		if g.Expired {
			because = "expired: no backup needs it"
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%d\t%s", g.First, g.Last, g.Segments, because))
	}
	return p.printTable(rows)
}

// locks lists who holds locks.
func (c *listCommand) locks(ctx context.Context, p *program, cluster *repo.Cluster) error {
	held, err := cluster.Locks(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return p.printJSON(append([]repo.HeldLock{}, held...))
	}
	if len(held) == 0 {
		p.log.Info("nobody works on the cluster", "cluster", p.common.Cluster)
		return nil
	}
	rows := []string{"LOCK\tSINCE\tOWNER"}
	for _, l := range held {
		since := "-"
		if !l.Since.IsZero() {
			since = human.Time(l.Since)
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s", l.Name, since, l.Owner))
	}
	return p.printTable(rows)
}
