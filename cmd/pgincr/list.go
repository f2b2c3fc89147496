package main

import (
	"context"
	"strings"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/repo"
)

type listCommand struct {
	jsonFlag `embed:""`
}

// Help is shown below the summary.
func (*listCommand) Help() string {
	return "Oldest first, by the position in WAL where they begin. Exit code 3 says that one of them cannot be read."
}

// Run implements the command.
func (c *listCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	backups, err := cluster.Backups(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		if backups == nil {
			backups = []*repo.Manifest{}
		}
		err = p.printJSON(backups)
	} else {
		err = p.printBackups(backups)
	}
	if err != nil {
		return err
	}
	broken := 0
	for _, m := range backups {
		if m.Status != repo.StatusOK {
			broken++
			p.log.Warn("backup cannot be read", "id", m.ID, "cause", strings.Join(m.Warnings, "; "))
		}
	}
	if broken > 0 {
		return findings("cluster %q: %d of %d backups cannot be read", p.common.Cluster, broken, len(backups))
	}
	return nil
}

func (p *program) printBackups(backups []*repo.Manifest) error {
	if len(backups) == 0 {
		p.log.Info("no backups yet", "cluster", p.common.Cluster)
		return nil
	}
	rows := []string{"ID\tTYPE\tPARENT\tFINISHED\tTOOK\tSTART LSN\tPAGES\tSIZE\tSTORED\tPAGE MAP\tSTATUS"}
	for _, m := range backups {
		if m.Status != repo.StatusOK {
			rows = append(rows, strings.Join([]string{m.ID, "-", "-", "-", "-", "-", "-", "-", "-", "-", m.Status}, "\t"))
			continue
		}
		status := m.Status
		if len(m.CorruptPages) > 0 {
			status = "corrupt pages"
		}
		source := m.PageMap.Source
		if m.PageMap.FallbackReason != "" {
			source += " (fallback)"
		}
		rows = append(rows, strings.Join([]string{
			m.ID, m.Type, orDash(m.Parent), human.Time(m.FinishedAt),
			durationText(m.FinishedAt.Sub(m.StartedAt)), m.StartLSN.String(),
			percentText(m.BlocksStored, m.BlocksTotal), human.Bytes(m.SizeBytes), human.Bytes(m.StoredBytes),
			orDash(source), status,
		}, "\t"))
	}
	return p.printTable(rows)
}
