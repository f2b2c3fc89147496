package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

type restoreCommand struct {
	jsonFlag `embed:""`

	Backup            string       `arg:"" optional:"" placeholder:"ID" help:"An id or latest (default: the newest that leads to the target)."`
	PGData            string       `name:"pgdata" short:"D" required:"" placeholder:"DIR" help:"Directory to write: empty, or with --delta a data directory."`
	TablespaceMapping []assignment `short:"T" sep:"none" placeholder:"OLD=NEW" help:"Another directory for a tablespace; may be repeated."`
	Delta             bool         `help:"Rewrite an existing data directory in place, touching only what differs."`
	DryRun            bool         `help:"Say what would be done and do nothing."`
	Standby           bool         `help:"Set up a standby instead of a primary."`
	PrimaryConninfo   string       `placeholder:"CONNSTR" help:"Where the standby streams from; passwords belong into ~/.pgpass."`

	targetFlags `embed:"" group:"target"`
}

// targetFlags say where recovery ends: PostgreSQL's recovery_target settings.
type targetFlags struct {
	TargetTime      string `placeholder:"TIME" help:"Recover to this time, 2026-11-23 08:30:00+01 for example."`
	TargetLSN       string `name:"target-lsn" placeholder:"LSN" help:"Recover to this WAL position."`
	TargetXID       string `name:"target-xid" placeholder:"XID" help:"Recover to this transaction."`
	TargetName      string `placeholder:"NAME" help:"Recover to this restore point (pg_create_restore_point)."`
	Target          string `placeholder:"immediate" enum:",immediate" default:"" help:"Recover to the earliest consistent point: immediate."`
	TargetTimeline  string `placeholder:"TIMELINE" help:"Timeline to follow: a number, current or latest."`
	TargetAction    string `placeholder:"ACTION" enum:",pause,promote,shutdown" default:"" help:"What the server does at the target: pause, promote or shutdown."`
	TargetExclusive bool   `help:"Stop just before the target, not just after it."`
}

// Help is shown below the summary.
func (*restoreCommand) Help() string {
	return "Without a target the server recovers to the end of the archived WAL. It fetches WAL with this program " +
		"from the same repository. The directory starts only when it is complete: global/pg_control is written last."
}

// Validate is called by kong.
func (c *restoreCommand) Validate(*kong.Context) error {
	targets := c.targets()
	switch {
	case len(targets) > 1:
		return fmt.Errorf("%s: cannot be used together", strings.Join(targets, ", "))
	case c.TargetAction != "" && len(targets) == 0:
		return errors.New("--target-action: needs a target")
	case c.TargetExclusive && c.TargetTime+c.TargetLSN+c.TargetXID == "":
		return errors.New("--target-exclusive: needs --target-time, --target-lsn or --target-xid")
	case c.PrimaryConninfo != "" && !c.Standby:
		return errors.New("--primary-conninfo: needs --standby")
	case c.Standby && c.TargetAction == "promote":
		return errors.New("--target-action promote: does not go with --standby")
	}
	return nil
}

// targets names the flags that say where recovery ends.
func (c *targetFlags) targets() []string {
	var names []string
	for _, f := range []struct{ name, value string }{
		{"--target-time", c.TargetTime}, {"--target-lsn", c.TargetLSN}, {"--target-xid", c.TargetXID},
		{"--target-name", c.TargetName}, {"--target", c.Target},
	} {
		if f.value != "" {
			names = append(names, f.name)
		}
	}
	return names
}

// Run implements the command.
func (c *restoreCommand) Run(ctx context.Context, p *program) error {
	spaces, err := assignments(c.TablespaceMapping)
	if err != nil {
		return &usageError{err: fmt.Errorf("--tablespace-mapping: %w", err), command: "pgincr restore"}
	}
	target, at, err := c.target()
	if err != nil {
		return &usageError{err: err, command: "pgincr restore"}
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("path of this program: %w", err)
	}
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	m, err := c.choose(ctx, cluster, at)
	if err != nil {
		return err
	}
	o := restore.Options{
		Target:          absolute(c.PGData),
		Jobs:            p.common.jobs(),
		TablespaceMap:   spaces,
		RestoreCommand:  walRestoreCommand(executable, p.common),
		TargetOptions:   target,
		Standby:         c.Standby,
		PrimaryConninfo: c.PrimaryConninfo,
		Delta:           c.Delta,
		DryRun:          c.DryRun,
		Log:             p.log,
		Progress:        new(restore.Progress),
		Clock:           p.clock,
	}
	stop := p.watch(ctx, o.Progress.Snapshot)
	r, err := restore.Run(ctx, cluster, m, o)
	stop()
	if err != nil {
		return err
	}
	return c.report(p, r)
}

// target gives the recovery target, and its time if it is one that can be read.
func (c *restoreCommand) target() (restore.TargetOptions, time.Time, error) {
	o := restore.TargetOptions{
		LSN: c.TargetLSN, XID: c.TargetXID, Name: c.TargetName, Immediate: c.Target == "immediate",
		Exclusive: c.TargetExclusive, Timeline: c.TargetTimeline, Action: c.TargetAction,
	}
	if c.TargetTime == "" {
		return o, time.Time{}, nil
	}
	at, err := parseTime(c.TargetTime)
	// In this form every server reads the same moment, whatever its TimeZone and DateStyle.
	o.Time = at.UTC().Format("2006-01-02 15:04:05.999999") + "+00"
	return o, at, err
}

// parseTime reads a moment as people write it for PostgreSQL; without a zone it is that of this host.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02 15:04:05.999999Z07:00", "2006-01-02 15:04:05.999999Z07",
		"2006-01-02 15:04:05.999999 Z07:00", "2006-01-02 15:04:05.999999 Z07", "2006-01-02 15:04:05.999999 MST",
		"2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999", "2006-01-02 15:04Z07:00", "2006-01-02 15:04Z07",
		"2006-01-02 15:04", "2006-01-02",
	} {
		at, err := time.ParseInLocation(layout, s, time.Local)
		if _, offset := at.Zone(); err == nil && (layout[len(layout)-3:] != "MST" || s[len(s)-3:] == "UTC" || offset != 0) {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("--target-time: %q: want a time like 2026-11-23 08:30:00+01", s)
}

// choose gives the backup to start from: the one named, or the newest that was
// complete before the target.
func (c *restoreCommand) choose(ctx context.Context, cluster *repo.Cluster, at time.Time) (*repo.Manifest, error) {
	if c.Backup != "" {
		return cluster.Backup(ctx, c.Backup)
	}
	all, err := cluster.Backups(ctx)
	if err != nil {
		return nil, err
	}
	return chooseBackup(all, c.TargetLSN, at, c.TargetTimeline)
}

// report prints the result.
func (c *restoreCommand) report(p *program, r *restore.Result) error {
	for _, w := range r.Warnings {
		p.log.Warn(w)
	}
	if c.JSON {
		return p.printJSON(r)
	}
	if p.common.Quiet {
		return nil
	}
	verb := "restored to"
	if c.DryRun {
		verb = "would be restored to"
	}
	if err := p.printf("backup %s: %s %s\n", r.Backup, verb, r.Target); err != nil {
		return err
	}
	rows := []string{
		fmt.Sprintf("  chain\t%d backups", len(r.Chain)),
		fmt.Sprintf("  files\t%d", r.FilesWritten),
		fmt.Sprintf("  bytes\t%s read, %s written, %s left alone", bytesText(r.BytesRead),
			bytesText(r.BytesWritten), bytesText(r.BytesSkipped)),
	}
	for _, ph := range r.Phases {
		rows = append(rows, fmt.Sprintf("  %s\t%s", ph.Name,
			durationText(time.Duration(ph.Seconds*float64(time.Second)))))
	}
	return p.printTable(rows)
}
