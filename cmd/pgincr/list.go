package main

import (
	"context"
	"strings"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/repo"
)

type listCommand struct {
	jsonFlag `embed:""`

	Windows bool `xor:"what" help:"List what can be restored, by timeline and WAL position, and the gaps in the archived WAL."`
	Locks   bool `xor:"what" help:"List who takes, reads or removes backups at the moment."`
}

// listedBackup is one entry of list --json.
type listedBackup struct {
	*repo.Manifest

	Pinned bool `json:"pinned"`
}

// Help is shown below the summary.
func (*listCommand) Help() string {
	return "Oldest first, by the position in WAL where they begin. Exit code 3 says that one of them cannot be read, " +
		"or, with --windows, that WAL was lost between what is archived."
}

// Run implements the command.
func (c *listCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	if c.Locks {
		return c.locks(ctx, p, cluster)
	}
	backups, err := cluster.Backups(ctx)
	if err != nil {
		return err
	}
	if c.Windows {
		return c.windows(ctx, p, cluster, backups)
	}
	pins, err := cluster.Pins(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		listed := make([]listedBackup, len(backups))
		for i, m := range backups {
			_, pinned := pins[m.ID]
			listed[i] = listedBackup{m, pinned}
		}
		err = p.printJSON(listed)
	} else {
		err = p.printBackups(backups, pins)
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

func (p *program) printBackups(backups []*repo.Manifest, pins map[string]*repo.Pin) error {
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
		if _, pinned := pins[m.ID]; pinned {
			status += ", pinned"
		}
		source := m.PageMap.Source
		if m.PageMap.FallbackReason != "" {
			source += " (fallback)"
		}
		rows = append(rows, strings.Join([]string{
			m.ID, typeName(m), orDash(m.Parent), human.Time(m.FinishedAt),
			durationText(m.FinishedAt.Sub(m.StartedAt)), m.StartLSN.String(),
			percentText(m.BlocksStored, m.BlocksTotal), human.Bytes(m.SizeBytes), human.Bytes(m.StoredBytes),
			orDash(source), status,
		}, "\t"))
	}
	return p.printTable(rows)
}
