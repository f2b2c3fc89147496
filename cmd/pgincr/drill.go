package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/drill"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

type drillCommand struct {
	jsonFlag `embed:""`

	Backup         string        `arg:"" optional:"" placeholder:"ID" help:"An id or latest (default: the newest that leads to the target)."`
	Scratch        string        `placeholder:"DIR" help:"Directory to restore to: an empty one, or one to be made (default: a new one in the temporary directory)."`
	Keep           bool          `help:"Leave the recovered data directory, stopped, and say how to start it."`
	Bindir         string        `placeholder:"DIR" help:"Directory of PostgreSQL's programs (default: where pg_config, PATH or the system's packages have the backup's version)."`
	User           string        `placeholder:"NAME" default:"postgres" help:"For root: the user to become, because PostgreSQL refuses root; not asked for where --scratch belongs to another user (default: ${default})."`
	Timeout        time.Duration `placeholder:"DURATION" default:"4h" help:"How long recovery may take, 0 for any time (default: ${default})."`
	Set            []assignment  `sep:"none" placeholder:"NAME=VALUE" help:"Setting of the scratch server: shared_buffers=8GB, say, to measure what production would take; may be repeated."`
	Amcheck        string        `placeholder:"MODE" enum:"auto,on,off" default:"auto" help:"Whether pg_amcheck looks at every table and B-tree: where it can, must, or not; ${enum} (default: ${default})."`
	HeapAllIndexed bool          `name:"heapallindexed" help:"Have pg_amcheck prove that each row is in each B-tree: reads far more."`
	SQL            string        `name:"sql" placeholder:"FILE" help:"SQL script, - for standard input, that must end without an error; psql runs it."`
	SQLCommand     string        `name:"sql-command" placeholder:"SQL" help:"The same, given as text."`
	SQLDatabase    string        `name:"sql-database" placeholder:"NAME" default:"postgres" help:"Database in which it runs (default: ${default})."`
	Role           string        `placeholder:"ROLE" help:"Superuser to connect to the recovered server as (default: found out)."`
	IgnoreSpace    bool          `help:"Restore though the file systems seem too small; for those that compress."`
	NoRecord       bool          `help:"Do not write the result into the repository."`

	targetFlags `embed:"" group:"target"`
}

// Help is shown below the summary.
func (*drillCommand) Help() string {
	return "Restores a backup, lets PostgreSQL recover on it, to the end of the archived WAL or to a target, " +
		"has it checked by pg_amcheck and by SQL of yours, measures each step, writes the result into the repository " +
		"and removes what it made. The server is harmless: no network, no archiving, no subscriptions, " +
		"nothing of the source's configuration. Exit code 3 says that it recovered and a check found something."
}

// Validate is called by kong.
func (c *drillCommand) Validate(*kong.Context) error {
	switch {
	case c.SQL != "" && c.SQLCommand != "":
		return errors.New("--sql, --sql-command: cannot be used together")
	case c.HeapAllIndexed && c.Amcheck == drill.AmcheckOff:
		return errors.New("--heapallindexed, --amcheck off: cannot be used together")
	case c.Timeout < 0:
		return errors.New("--timeout: must not be negative")
	}
	return c.targetFlags.verify()
}

// Run implements the command.
func (c *drillCommand) Run(ctx context.Context, p *program) (err error) {
	if len(p.common.Repos) > 1 && c.Keep && c.Scratch != "" {
		return &usageError{err: errors.New("--keep, --scratch: one directory is for one repository"), command: "pgincr drill"}
	}
	settings, err := c.settings()
	if err != nil {
		return err
	}
	if err := becomeServerUser(c.User, c.Scratch); err != nil {
		return err
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("path of this program: %w", err)
	}
	script, err := c.script(len(p.common.Repos) > 1)
	if err != nil {
		return err
	}
	if script != nil {
		defer func() { err = errors.Join(err, script.Close()) }()
	}
	cluster, err := p.openReadable(ctx)
	if err != nil {
		return err
	}
	m, err := chooseBackup(ctx, cluster, c.Backup, c.options())
	if err != nil {
		return err
	}
	install, err := findPostgres(ctx, postgresWanted{
		bindir: c.Bindir, programs: []string{"postgres", "psql"}, major: m.PGVersion / 10000,
	})
	if err != nil {
		return err
	}
	o := drill.Options{
		Bindir: install.bindir, Scratch: c.Scratch, Keep: c.Keep, Jobs: p.common.jobs(),
		RestoreCommand: walRestoreCommand(executable, p.common, absoluteRepo(p.common.Repo)),
		Target:         c.options(), IgnoreSpace: c.IgnoreSpace,
		Timeout: c.Timeout, Settings: settings, Role: c.Role, Amcheck: c.Amcheck,
		HeapAllIndexed: c.HeapAllIndexed, SQLCommand: c.SQLCommand,
		Database: c.SQLDatabase, Environment: serverEnvironment(), Unrecorded: c.NoRecord, Log: p.log,
		Progress: new(restore.Progress), Clock: p.clock, Version: buildVersion(),
	}
	if script != nil {
		o.SQL = script
	}
	if !c.JSON {
		o.Output = p.stdout
	}
	stop := p.watch(ctx, o.Progress.Snapshot)
	d, err := drill.Run(ctx, cluster, m, o)
	stop()
	return errors.Join(err, c.report(p, d))
}

// settings gives those of --set.
func (c *drillCommand) settings() ([]restore.Setting, error) {
	var all []restore.Setting
	for _, a := range c.Set {
		if strings.ContainsFunc(a.key, func(r rune) bool {
			return r != '_' && r != '.' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
		}) {
			return nil, &usageError{err: fmt.Errorf("--set %s: not the name of a setting", a.key), command: "pgincr drill"}
		}
		all = append(all, restore.Setting{Name: a.key, Value: a.value})
	}
	return all, nil
}

// script opens what --sql names; nil without.
func (c *drillCommand) script(severalRepos bool) (io.ReadCloser, error) {
	switch c.SQL {
	case "":
		return nil, nil
	case "-":
		if severalRepos {
			return nil, &usageError{err: errors.New("--sql -: can be read for one repository only"), command: "pgincr drill"}
		}
		return os.Stdin, nil
	}
	f, err := os.Open(c.SQL)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("--sql: %w", err)}
	}
	return f, nil
}

// report prints the result, and says what a check has found.
func (c *drillCommand) report(p *program, d *repo.Drill) error {
	if d == nil {
		return nil
	}
	p.note("BACKUP", d.Backup)
	p.note("DRILL", d.Result)
	p.note("RECOVERY_SECONDS", fmt.Sprint(d.RecoverySeconds))
	for _, w := range d.Warnings {
		p.log.Warn(w)
	}
	var err error
	switch {
	case c.JSON:
		err = p.printJSON(d)
	case !p.common.Quiet:
		err = p.printDrill(d)
	}
	if err != nil || d.Result != repo.DrillFindings {
		return err
	}
	return findings("backup %s: it recovered, but %s", d.Backup, d.Findings())
}

// printDrill prints the result for people. Why a drill failed is said by its error.
func (p *program) printDrill(d *repo.Drill) error {
	verdict := "recovered in " + durationText(seconds(d.RecoverySeconds))
	if d.Result == repo.DrillFailed {
		verdict = "FAILED"
	}
	if err := p.printf("backup %s: %s\n", d.Backup, verdict); err != nil {
		return err
	}
	rows := []string{"  target\t" + d.Target}
	if d.BytesWritten > 0 {
		rows = append(rows, fmt.Sprintf("  chain\t%d backups", len(d.Chain)), "  written\t"+human.Bytes(d.BytesWritten))
	}
	if r := d.Reached; r != nil {
		at := "no transaction replayed"
		if r.Time != nil {
			at = "last transaction " + r.Time.Format(time.RFC3339Nano)
		}
		rows = append(rows, fmt.Sprintf("  reached\t%s on timeline %d, %s", r.LSN, r.Timeline, at),
			"  server\tPostgreSQL "+d.Server)
	}
	for _, v := range d.Checks {
		text := v.Result
		if v.Detail != "" {
			text += ": " + v.Detail
		}
		rows = append(rows, fmt.Sprintf("  check %s\t%s", v.Name, text))
	}
	for _, ph := range d.Phases {
		rows = append(rows, fmt.Sprintf("  %s\t%s", ph.Name, durationText(seconds(ph.Seconds))))
	}
	return p.printTable(rows)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// serverEnvironment is this process's without what would lead PostgreSQL's programs elsewhere.
func serverEnvironment() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "PGINCR_") {
			env = append(env, kv)
		}
	}
	return env
}
