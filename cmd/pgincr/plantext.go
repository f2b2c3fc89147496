package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/restore"
)

// printPlan says what a restore would do.
func (p *program) printPlan(r *restore.Result) error {
	if err := p.printf("backup %s: would be restored to %s\n", r.Backup, r.Target); err != nil {
		return err
	}
	plan := r.Plan
	rows := []string{
		"  chain\t" + strings.Join(r.Chain, " → "),
		fmt.Sprintf("  files\t%d in %d directories", plan.Files, plan.Directories),
		fmt.Sprintf("  bytes\t%s to read, %s to write, %s of zeros", human.Bytes(plan.BytesToRead),
			human.Bytes(plan.BytesToWrite), human.Bytes(plan.BytesInHoles)),
	}
	rows = append(rows, configurationRows(r.Configuration)...)
	for _, t := range plan.Tablespaces {
		rows = append(rows, fmt.Sprintf("  tablespace\t%d in %s", t.OID, t.Path))
	}
	for _, s := range plan.Space {
		rows = append(rows, fmt.Sprintf("  space\t%s needed of %s, for %s",
			human.Bytes(s.NeedBytes), human.Bytes(s.HaveBytes),
			strings.Join(s.Dirs, ", ")))
	}
	rows = append(rows,
		fmt.Sprintf("  WAL\t%s to %s on timeline %d to become consistent: %s", plan.WALStart, plan.WALStop,
			plan.WALTimeline, strings.Join(plan.WALFiles, " ")),
		"  recovery\t"+recoveryText(r.Recovery))
	for _, s := range r.Recovery.Settings {
		if s.Value != "" {
			rows = append(rows, "  setting\t"+s.Name+" = "+s.Value)
		}
	}
	return errors.Join(p.printTable(rows), p.printStandIns(r))
}

// recoveryText says how the restored server would begin.
func recoveryText(r restore.Recovery) string {
	switch r.Signal {
	case "":
		return "to the end of the WAL that the backup needs"
	case "standby.signal":
		return "as a standby"
	default:
		return "from the archive"
	}
}
