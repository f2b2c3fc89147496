package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

// drill is one drill on its way.
type drill struct {
	cluster *repo.Cluster
	backup  *repo.Manifest
	o       Options
	scratch *scratch
	server  *server
	begun   time.Time
	result  *repo.Drill
}

// Run rehearses the restore of m and gives what came of it. A check that finds something is no error;
// a restore or recovery that fails is one, beside its result. Where nothing was begun, or somebody
// ended it, there is no result.
//
// However it ends, the server is stopped and what was made is removed, unless o.Keep says otherwise. The
// commit point is the appearance of the result in the repository, after that.
func Run(ctx context.Context, c *repo.Cluster, m *repo.Manifest, o Options) (_ *repo.Drill, err error) {
	o.setDefaults()
	if err := o.verify(); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	// What recovery needs must stay until its end, the archived WAL, too.
	use, err := c.Use(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, use.Release()) }()
	d := &drill{cluster: c, backup: m, o: o, begun: o.Clock()}
	d.result = &repo.Drill{
		Format: repo.FormatVersion, Cluster: c.Info.Name, SystemIdentifier: c.Info.SystemIdentifier, Backup: m.ID,
		Chain: []string{}, Target: o.Target.String(), Host: host, StartedAt: d.begun.UTC(), Phases: []repo.Phase{},
		Checks: []repo.Verdict{}, Warnings: []string{}, Version: o.Version,
	}
	if d.scratch, err = newScratch(o.Scratch, o.Log); err != nil {
		return nil, err
	}
	err = d.rehearse(ctx)
	d.result.FinishedAt = o.Clock().UTC()
	if ctx.Err() != nil {
		return nil, cmp.Or(err, context.Cause(ctx)) // it may have come to its end all the same
	}
	d.judge(err)
	if o.Unrecorded {
		return d.result, err
	}
	if perr := c.PutDrill(ctx, d.result); perr != nil {
		err = errors.Join(err, fmt.Errorf("drill: its result could not be stored: %w", perr))
	}
	return d.result, err
}

// judge sets the result.
func (d *drill) judge(err error) {
	r := d.result
	switch {
	case err != nil:
		r.Result, r.Error = repo.DrillFailed, err.Error()
	case slices.ContainsFunc(r.Checks, repo.Verdict.Bad):
		r.Result = repo.DrillFindings
	default:
		r.Result = repo.DrillOK
	}
}

// rehearse does everything, and clears up.
func (d *drill) rehearse(ctx context.Context) (err error) {
	defer func() {
		cerr := d.phase("cleanup", d.cleanup)
		err = errors.Join(err, cerr)
	}()
	if err := d.phase("restore", func() error { return d.restore(ctx) }); err != nil {
		return err
	}
	if err := d.recover(ctx); err != nil {
		return err
	}
	d.result.RecoverySeconds = d.o.Clock().Sub(d.begun).Seconds()
	client, err := newClient(ctx, d.scratch, &d.o)
	if err != nil {
		return err
	}
	if d.result.Server, d.result.Reached, err = client.reached(ctx); err != nil {
		return err
	}
	return d.check(ctx, client)
}

// phase runs one step and notes how long it took.
func (d *drill) phase(name string, step func() error) error {
	begin := d.o.Clock()
	d.o.Log.Debug("drill phase begins", "phase", name)
	err := step()
	d.note(name, d.o.Clock().Sub(begin))
	return err
}

func (d *drill) note(name string, took time.Duration) {
	d.result.Phases = append(d.result.Phases, repo.Phase{Name: name, Seconds: max(0, took.Seconds())})
}

// restore restores the backup and configures the server.
func (d *drill) restore(ctx context.Context) error {
	r, err := restore.Run(ctx, d.cluster, d.backup, restore.Options{
		Target: d.scratch.data(), TablespaceRoot: d.scratch.path(spacesName), Jobs: d.o.Jobs,
		RestoreCommand: d.o.RestoreCommand, TargetOptions: d.o.Target, IgnoreSpace: d.o.IgnoreSpace,
		Log: d.o.Log, Progress: d.o.Progress, Clock: d.o.Clock,
	})
	if r != nil {
		d.result.Chain, d.result.BytesWritten = r.Chain, r.BytesWritten
		d.result.Warnings = append(d.result.Warnings, r.Warnings...)
	}
	if err != nil {
		return err
	}
	return d.scratch.configure(ctx, r.Recovery, d.o.Settings)
}

// recover starts the server and waits until it takes connections.
func (d *drill) recover(ctx context.Context) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d.server, err = start(d.scratch, &d.o); err != nil {
		return err
	}
	err = d.server.awaitReady(ctx, d.o.Timeout)
	took := d.o.Clock().Sub(d.server.started)
	if ctx.Err() != nil {
		return err
	}
	at, ok, lerr := d.scratch.consistentAt()
	if lerr != nil {
		return errors.Join(err, lerr)
	}
	if !ok { // it ended where it became consistent
		d.note("recovery", took)
		return err
	}
	consistent := min(max(0, at.Sub(d.server.started)), took)
	d.note("to consistency", consistent)
	d.note("replay", took-consistent)
	return err
}

// check looks at the recovered cluster.
func (d *drill) check(ctx context.Context, c *client) error {
	one := func(name string, do func() (repo.Verdict, error)) error {
		return d.phase(name, func() error {
			v, err := do()
			if err == nil {
				d.result.Checks = append(d.result.Checks, v)
			}
			return err
		})
	}
	if d.o.Amcheck != AmcheckOff {
		if err := one("amcheck", func() (repo.Verdict, error) { return c.amcheck(ctx) }); err != nil {
			return err
		}
	}
	if d.o.SQL == nil && d.o.SQLCommand == "" {
		return nil
	}
	return one("sql", func() (repo.Verdict, error) { return c.sql(ctx, d.o.SQL, d.o.SQLCommand) })
}

// cleanup stops the server and removes what was made, or leaves it.
func (d *drill) cleanup() error {
	if d.server != nil {
		if err := d.server.stop(d.o.Keep); err != nil {
			return err // its files are still in use
		}
	}
	if !d.o.Keep {
		return d.scratch.remove()
	}
	if err := d.scratch.leave(); err != nil {
		return err
	}
	if d.server != nil {
		d.o.Log.Info("left for you", "directory", d.scratch.dir, "start", d.server.String())
	} else {
		d.o.Log.Info("left for you", "directory", d.scratch.dir)
	}
	return nil
}
