package restore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// run is one restore on its way.
type run struct {
	cluster   *repo.Cluster
	archive   *repo.WALArchive
	view      *walView
	o         Options
	plan      *plan
	recovery  Recovery
	config    configuration
	tree      *tree
	disk      *disk
	ledger    *ledger
	result    *Result
	mine      bool // this restore holds the marker: what is in the directory is its work
	committed bool
	written   atomic.Int64 // bytes
}

// Run restores the chain that ends in m. The commit point is global/pg_control, written and synced
// last: before that the directory does not start.
//
// A restore that fails removes what it has written and leaves directories that
// were there empty, unless it is told to keep them; either way the error is an
// *UnfinishedError once anything was written.
func Run(ctx context.Context, c *repo.Cluster, m *repo.Manifest, o Options) (res *Result, err error) {
	o.setDefaults()
	if o.Target != "" {
		if o.Target, err = filepath.Abs(o.Target); err != nil {
			return nil, err
		}
	}
	r := &run{cluster: c, archive: c.WAL(repo.Compression{}), o: o}
	r.result = &Result{Backup: m.ID, Target: o.Target, Warnings: []string{}}
	if err := r.o.verify(m); err != nil {
		return nil, err
	}
	chain, err := c.OpenChain(ctx, m)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, chain.Close()) }()
	if why := chain.Unprotected(); why != nil {
		r.result.Warnings = append(r.result.Warnings,
			fmt.Sprintf("nothing keeps expire from removing what is restored: %v", why))
	}
	if err := r.phase("plan", func() error { return r.makePlan(ctx, chain) }); err != nil {
		return nil, err
	}
	if o.DryRun {
		r.result.Plan = &r.plan.Plan
		return r.result, nil
	}
	err = r.write(ctx)
	r.result.BytesWritten = r.written.Load()
	return r.result, err
}

// setDefaults fills what the caller left out.
func (o *Options) setDefaults() {
	if o.Jobs < 1 {
		o.Jobs = 1
	}
	if o.partSize == 0 {
		o.partSize = partSize
		if o.Delta {
			o.partSize = deltaPartSize
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the clock of callers that give none
	}
}

// verify refuses options that make no sense for this backup.
func (o *Options) verify(m *repo.Manifest) error {
	if o.Target == "" {
		return &OptionError{"target directory", "is missing"}
	}
	if len(o.Databases) > 0 && o.Standby {
		return &OptionError{"databases", "a standby needs all of them"}
	}
	if o.PrimaryConninfo != "" && !o.Standby {
		return &OptionError{"primary conninfo", "is for a standby"}
	}
	return o.TargetOptions.verify(m)
}

// phase runs one step and notes how long it took.
func (r *run) phase(name string, step func() error) error {
	r.o.Progress.enter(name)
	begin := r.o.Clock()
	err := step()
	seconds := r.o.Clock().Sub(begin).Seconds()
	r.result.Phases = append(r.result.Phases, Phase{Name: name, Seconds: seconds})
	r.o.Log.Debug("restore phase", "phase", name, "seconds", seconds)
	return err
}

// makePlan decides everything and refuses what cannot succeed. It writes nothing.
func (r *run) makePlan(ctx context.Context, chain *repo.Chain) error {
	for i := len(chain.Backups) - 1; i >= 0; i-- {
		r.result.Chain = append(r.result.Chain, chain.Backups[i].Manifest.ID)
	}
	var err error
	var old *existing
	if r.o.Delta {
		if old, err = lookInPlace(r.o.Target, chain.Backups[0].Manifest); err != nil {
			return err
		}
	}
	if r.plan, err = newPlan(ctx, chain, &r.o, old); err != nil {
		return err
	}
	if s := r.plan.standIns; s != nil {
		r.result.StandIns, r.result.DropSQL = s.list, s.dropSQL()
	}
	if old == nil {
		err = r.plan.layout.verifyEmpty()
	} else {
		err = old.verifyPlaces(r.plan.layout)
		if err == nil && !r.o.DiscardWAL {
			err = old.verifyArchived(ctx, r.archive)
		}
	}
	if err != nil {
		return err
	}
	if err := r.planConfiguration(ctx); err != nil {
		return err
	}
	if err := r.plan.verifyWAL(ctx, r.archive, r.o.ForeignWAL); err != nil {
		return err
	}
	m := r.plan.backup
	var l archiveLine
	r.view, l, err = newWALView(r.archive).of(ctx, r.cluster, m)
	if r.o.Immediate && errors.Is(err, repo.ErrCorrupt) {
		// The archive is not needed: carried WAL leads there, and is verified when it is copied.
		r.view, l, err = newWALView(nil), archiveLine{foreign: err.Error()}, nil
	}
	if err != nil {
		return err
	}
	if l.foreign != "" {
		r.result.Warnings = append(r.result.Warnings,
			"recovery uses only the WAL that the backup carries: "+l.foreign)
	}
	if r.recovery, err = newRecovery(m, &r.o, l); err != nil {
		return err
	}
	if r.result.DropSQL != "" {
		r.recovery.Settings = append(r.recovery.Settings, Setting{ignoreInvalidPages, "on"})
	}
	r.result.Recovery = r.recovery
	if err := r.verifyGoal(ctx); err != nil {
		return err
	}
	if r.recovery.CopyWAL {
		at := r.plan.usage[r.plan.layout.placeOf(walDirName)]
		at.bytes += int64(len(r.plan.WALFiles)) * int64(m.Geometry.WALSegmentSize)
	}
	if err := r.plan.measureSpace(); err != nil {
		return err
	}
	r.o.Progress.total.Store(r.plan.BytesToWrite)
	if r.o.IgnoreSpace {
		return nil
	}
	return r.plan.verifySpace()
}

// verifyGoal refuses a recovery target that the WAL at hand does not lead to, and
// recovery to the end of WAL where that would be a gap. A standby gets what is missing from its primary.
func (r *run) verifyGoal(ctx context.Context) error {
	if r.recovery.Signal == "" || r.o.ForeignWAL || r.o.PrimaryConninfo != "" {
		return nil
	}
	h, err := r.view.targetHistory(ctx, r.plan.backup, r.o.Timeline)
	if err != nil {
		return err
	}
	reach, err := r.view.reach(ctx, r.plan.backup, h)
	if err != nil {
		return err
	}
	r.plan.WALReach = reach.end
	g := goal{t: &r.o.TargetOptions, m: r.plan.backup, reach: reach}
	g.open = reach.opener(r.searchWAL, r.view.archive, r.plan.backup.Geometry)
	return g.verify(ctx)
}

// write is the part that leaves traces, and removes them when it fails.
func (r *run) write(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = r.unfinished(err)
		}
		err = errors.Join(err, r.close())
	}()
	if r.disk, err = newDisk(); err != nil {
		return err
	}
	if r.tree, err = openTree(r.plan.layout, r.plan.owner, r.disk, r.plan.old != nil); err != nil {
		return err
	}
	lock, err := r.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	r.mine = true
	if r.plan.old != nil {
		if err := r.disarm(); err != nil {
			return err
		}
	}
	if err := r.phase("copy", func() error { return r.copy(ctx) }); err != nil {
		return err
	}
	var control []byte
	err = r.phase("configure", func() (err error) {
		control, err = r.finish(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if err := r.phase("sync", func() error { return r.disk.sync(ctx) }); err != nil {
		return err
	}
	err = r.phase("commit", func() error {
		if err := r.config.write(); err != nil {
			return err
		}
		return r.publish(control)
	})
	r.committed = err == nil
	return err
}

// lock takes the marker, which keeps other restores away, and proves that none was
// quicker to fill the directory.
func (r *run) lock() (*os.File, error) {
	m := r.plan.backup
	lock, err := openMarker(r.tree, r.o.Target, marker{
		Backup: m.ID, SystemIdentifier: m.SystemIdentifier, StartedAt: r.o.Clock().UTC(),
	})
	if err != nil || r.plan.old != nil {
		return lock, err
	}
	names, err := readNames(r.tree.roots[""])
	if err == nil && len(names) != 1 {
		err = &TargetError{Dir: r.o.Target, Problem: NotEmpty, Detail: "another restore was quicker"}
		err = errors.Join(err, r.tree.roots[""].root.Remove(markerName))
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// copy writes the files of the backup.
func (r *run) copy(ctx context.Context) error {
	f, err := r.create(r.tree.roots[""], pg.BackupManifestName)
	if err != nil {
		return err
	}
	r.ledger = newLedger(f, r.major(), r.plan.backup.SystemIdentifier)
	c := newCopier(r.plan, r.tree, r.ledger, r.disk, &r.o)
	if r.plan.old != nil {
		if err := r.tree.startSweep(r.keep); err != nil {
			return err
		}
	}
	if err = c.run(ctx, r.o.Jobs); err == nil && r.plan.old != nil {
		err = r.tree.finishSweep()
	}
	r.result.FilesRemoved = r.tree.removed
	r.result.FilesWritten = c.files.Load()
	r.result.BytesRead = c.read.Load()
	r.written.Add(c.written.Load())
	r.result.BytesSkipped = r.plan.BytesInHoles + c.skipped.Load()
	return err
}

// finish writes what surrounds the files of the backup, all but pg_control, which it gives.
func (r *run) finish(ctx context.Context) ([]byte, error) {
	control, err := r.plan.chain.Backups[0].Control(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.verifyControl(control); err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		r.makeServerDirs,
		func() error { return r.copyWAL(ctx) },
		r.configure,
		func() error { return r.finishLedger(control) },
		r.tree.finish,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return control, ctx.Err()
}

// verifyControl refuses a pg_control that is damaged or another cluster's.
func (r *run) verifyControl(b []byte) error {
	m := r.plan.backup
	c, err := pg.ParseControl(b)
	if err != nil {
		return fmt.Errorf("backup %s: %w: %w", m.ID, err, repo.ErrCorrupt)
	}
	if c.SystemIdentifier != m.SystemIdentifier {
		return fmt.Errorf("backup %s: pg_control of system %d, expected %d: %w",
			m.ID, c.SystemIdentifier, m.SystemIdentifier, repo.ErrCorrupt)
	}
	return nil
}

func (r *run) major() int { return r.plan.backup.PGVersion / 10000 }

// unfinished clears up after a failure and says what is left.
func (r *run) unfinished(err error) error {
	if r.committed {
		return err
	}
	if !r.mine {
		if r.tree != nil {
			r.tree.removeEmpty()
		}
		return err
	}
	u := &UnfinishedError{Dir: r.o.Target, Err: errors.Join(err, r.config.remove())}
	if r.o.KeepOnFailure || r.plan.old != nil {
		return u
	}
	if rerr := r.tree.remove(); rerr != nil {
		u.Err = errors.Join(u.Err, rerr)
		return u
	}
	u.Removed = true
	return u
}

// close lets go of everything that is open.
func (r *run) close() error {
	var errs []error
	if r.ledger != nil {
		errs = append(errs, r.ledger.abandon())
	}
	if r.tree != nil {
		errs = append(errs, r.tree.close())
	}
	if r.disk != nil {
		errs = append(errs, r.disk.close())
	}
	return errors.Join(errs...)
}
