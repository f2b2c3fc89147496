package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

type restoreCommand struct {
	jsonFlag `embed:""`

	Backup            string       `arg:"" optional:"" placeholder:"ID" help:"An id or latest (default: the newest that leads to the target)."`
	PGData            string       `name:"pgdata" short:"D" required:"" placeholder:"DIR" help:"Directory to write: empty, or with --delta a data directory."`
	TablespaceMapping []assignment `short:"T" sep:"none" placeholder:"OLD=NEW" help:"Another directory for a tablespace; may be repeated."`
	TablespaceRoot    string       `placeholder:"DIR" help:"Directory for all tablespaces that -T does not move, each under its OID."`
	Delta             bool         `help:"Rewrite an existing data directory in place, touching only what differs."`
	DiscardWAL        bool         `help:"With --delta: remove WAL that the old data directory has not archived."`
	DryRun            bool         `help:"Say what would be done and do nothing."`
	WALDir            string       `name:"waldir" placeholder:"DIR" help:"Another directory for pg_wal."`
	ConfigTo          string       `name:"config-to" placeholder:"DIR" help:"Directory for configuration files from outside the data directory, each below it at its whole path; / for where they were."`
	Database          []string     `sep:"none" placeholder:"NAME" help:"Restore only this database, and templates, postgres and what all share; may be repeated."`
	Standby           bool         `help:"Set up a standby instead of a primary."`
	PrimaryConninfo   string       `placeholder:"CONNSTR" help:"Where the standby streams from; passwords belong into ~/.pgpass."`

	PreserveArchiveMode bool `help:"Leave archive_mode on in a copy of the cluster; normally it is switched off there."`
	KeepOnFailure       bool `help:"Leave what was written when the restore fails."`
	IgnoreSpace         bool `help:"Restore though the file systems seem too small; for those that compress."`

	targetFlags  `embed:"" group:"target"`
	TargetAction string `group:"target" placeholder:"ACTION" enum:",pause,promote,shutdown" default:"" help:"What the server does at the target: pause, promote or shutdown."`
}

// targetFlags say where recovery ends: PostgreSQL's recovery_target settings.
type targetFlags struct {
	TargetTime      string `placeholder:"TIME" help:"Recover to this time, 2026-11-23 08:30:00+01 for example."`
	TargetLSN       string `name:"target-lsn" placeholder:"LSN" help:"Recover to this WAL position."`
	TargetXID       string `name:"target-xid" placeholder:"XID" help:"Recover to this transaction."`
	TargetName      string `placeholder:"NAME" help:"Recover to this restore point (pg_create_restore_point)."`
	Target          string `placeholder:"immediate" enum:",immediate" default:"" help:"Recover to the earliest consistent point: immediate."`
	TargetTimeline  string `placeholder:"TIMELINE" help:"Timeline to follow: a number, current or latest."`
	TargetExclusive bool   `help:"Stop just before the target, not just after it."`
}

// Help is shown below the summary.
func (*restoreCommand) Help() string {
	return "Without a target the server recovers to the end of the archived WAL. It fetches WAL with this program " +
		"from the same repository, or from any of several. The directory starts only when it is complete: " +
		"global/pg_control is written last."
}

// Validate is called by kong.
func (c *restoreCommand) Validate(*kong.Context) error {
	switch {
	case c.TargetAction != "" && len(c.targets()) == 0:
		return errors.New("--target-action: needs a target")
	case c.DiscardWAL && !c.Delta:
		return errors.New("--discard-wal: needs --delta")
	case len(c.Database) > 0 && c.Standby:
		return errors.New("--database: does not go with --standby")
	case c.PrimaryConninfo != "" && !c.Standby:
		return errors.New("--primary-conninfo: needs --standby")
	case c.Standby && c.TargetAction == "promote":
		return errors.New("--target-action promote: does not go with --standby")
	}
	return c.targetFlags.verify()
}

// verify refuses targets that contradict each other, or are malformed.
func (c *targetFlags) verify() error {
	switch targets := c.targets(); {
	case len(targets) > 1:
		return fmt.Errorf("%s: cannot be used together", strings.Join(targets, ", "))
	case c.TargetExclusive && c.TargetTime+c.TargetLSN+c.TargetXID == "":
		return errors.New("--target-exclusive: needs --target-time, --target-lsn or --target-xid")
	}
	if c.TargetTime != "" {
		if _, err := restore.ParseTargetTime(c.TargetTime); err != nil {
			return fmt.Errorf("--target-time: %w", err)
		}
	}
	if c.TargetLSN != "" {
		if _, err := pg.ParseLSN(c.TargetLSN); err != nil {
			return fmt.Errorf("--target-lsn: %w", err)
		}
	}
	return nil
}

// targets names the flags that say where recovery ends.
func (c *targetFlags) targets() []string {
	var names []string
	for _, f := range []struct{ name, value string }{
		{"--target-time", c.TargetTime},
		{"--target-lsn", c.TargetLSN},
		{"--target-xid", c.TargetXID},
		{"--target-name", c.TargetName},
		{"--target", c.Target},
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
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("path of this program: %w", err)
	}
	cluster, err := p.openReadable(ctx)
	if err != nil {
		return err
	}
	target := c.options()
	target.Action = c.TargetAction
	m, err := chooseBackup(ctx, cluster, c.Backup, target)
	if err != nil {
		return err
	}
	o := restore.Options{
		Target:              absolute(c.PGData),
		Jobs:                p.common.jobs(),
		TablespaceMap:       spaces,
		TablespaceRoot:      c.TablespaceRoot,
		WALDir:              c.WALDir,
		ConfigDir:           c.ConfigTo,
		RestoreCommand:      walRestoreCommand(executable, p.common, p.common.reposToReadFrom()...),
		TargetOptions:       target,
		Databases:           c.Database,
		Standby:             c.Standby,
		PrimaryConninfo:     c.PrimaryConninfo,
		PreserveArchiveMode: c.PreserveArchiveMode,
		KeepOnFailure:       c.KeepOnFailure,
		IgnoreSpace:         c.IgnoreSpace,
		Delta:               c.Delta,
		DiscardWAL:          c.DiscardWAL,
		DryRun:              c.DryRun,
		Log:                 p.log,
		Progress:            new(restore.Progress),
		Clock:               p.clock,
	}
	if err := p.warnOfCorruptPages(ctx, cluster, m); err != nil {
		return err
	}
	if cluster.Encrypted() && p.common.keyFlags.onlyVariable() {
		p.log.Warn("the restored server fetches WAL only if its environment has " + passphraseVariable +
			"; name a file with --passphrase-file or --identity, and restore_command names it, too")
	}
	stop := p.watch(ctx, o.Progress.Snapshot)
	r, err := restore.Run(ctx, cluster, m, o)
	stop()
	if err != nil {
		return err
	}
	return c.report(p, r)
}

// options gives the target as package restore knows it.
func (c *targetFlags) options() restore.TargetOptions {
	return restore.TargetOptions{
		Time: c.TargetTime, LSN: c.TargetLSN, XID: c.TargetXID, Name: c.TargetName,
		Immediate: c.Target == "immediate", Exclusive: c.TargetExclusive,
		Timeline: c.TargetTimeline,
	}
}

// chooseBackup gives the backup to start from: the one named, or the one with the least WAL to replay up to the target.
func chooseBackup(
	ctx context.Context, cluster *repo.Cluster, id string, target restore.TargetOptions,
) (*repo.Manifest, error) {
	if id != "" {
		return findBackup(ctx, cluster, id)
	}
	m, err := restore.Choose(ctx, cluster, target)
	if errors.Is(err, repo.ErrNotFound) {
		return nil, fmt.Errorf("cluster %q: there are no backups", cluster.Info.Name)
	}
	return m, err
}

// warnOfCorruptPages tells of pages that were corrupt already when they were backed up: they are restored as they were.
func (p *program) warnOfCorruptPages(ctx context.Context, cluster *repo.Cluster, m *repo.Manifest) error {
	chain, err := cluster.Chain(ctx, m)
	for _, b := range chain {
		if n := len(b.CorruptPages); n > 0 {
			p.log.Warn("pages were corrupt when they were backed up", "backup", b.ID, "count", n, "see", "pgincr show "+b.ID)
		}
	}
	return err
}

// report prints the result.
func (c *restoreCommand) report(p *program, r *restore.Result) error {
	p.note("BACKUP", r.Backup)
	p.note("DIRECTORY", r.Target)
	for _, w := range r.Warnings {
		p.log.Warn(w)
	}
	if c.JSON {
		return p.printJSON(r)
	}
	if p.common.Quiet {
		return nil
	}
	if r.Plan != nil {
		return p.printPlan(r)
	}
	if err := p.printf("backup %s: restored to %s\n", r.Backup, r.Target); err != nil {
		return err
	}
	rows := []string{
		fmt.Sprintf("  chain\t%d backups", len(r.Chain)),
		fmt.Sprintf("  files\t%d", r.FilesWritten),
		fmt.Sprintf("  bytes\t%s read, %s written, %s left alone", human.Bytes(r.BytesRead),
			human.Bytes(r.BytesWritten), human.Bytes(r.BytesSkipped)),
	}
	for _, ph := range r.Phases {
		rows = append(rows, fmt.Sprintf("  %s\t%s", ph.Name,
			durationText(time.Duration(ph.Seconds*float64(time.Second)))))
	}
	rows = append(rows, configurationRows(r.Configuration)...)
	return errors.Join(p.printTable(rows), p.printStart(r), p.printStandIns(r))
}

// printStandIns says which databases are empty, and what to do about them.
func (p *program) printStandIns(r *restore.Result) error {
	if r.DropSQL == "" {
		return nil
	}
	return p.printf("These databases are empty and cannot be used: %s. When the server has recovered, in psql:\n"+
		"  %s\n  ALTER SYSTEM RESET ignore_invalid_pages;\n", strings.Join(databaseNames(r.StandIns), ", "), r.DropSQL)
}
