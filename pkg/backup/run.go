package backup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
	"github.com/pgincr/pgincr/pkg/wal"
)

// cleanupTime bounds what is done after a failure or cancellation.
const cleanupTime = 30 * time.Second

// Run takes a backup of the cluster whose session is s and commits it to c.
// The commit point is the appearance of the manifest. After any failure, or
// when ctx is cancelled, backup mode is ended and what was written is removed.
// Corrupt pages do not fail it: they are in the manifest.
func Run(ctx context.Context, s Session, c *repo.Cluster, o Options) (m *repo.Manifest, err error) {
	o, err = o.complete()
	if err != nil {
		return nil, err
	}
	unlock, err := c.Lock(ctx, "backup")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	// From here on no WAL is removed until locate tells which is not needed.
	if err := c.AwaitWALRemoval(ctx); err != nil {
		return nil, err
	}
	r := &run{
		o: o, s: s, c: c, info: s.Info(), walDir: filepath.Join(o.DataDir, "pg_wal"),
		warnings: warnings{log: o.Log},
	}
	if err := r.take(ctx); err != nil {
		return nil, err
	}
	return r.m, nil
}

// run is one backup under way.
type run struct {
	o      Options
	s      Session
	c      *repo.Cluster
	info   server.Info
	walDir string

	started  time.Time
	m        *repo.Manifest
	at       position
	fullWhy  string         // why an incremental became full
	parent   *repo.Manifest // nil: full
	chain    *repo.Chain    // of parent
	line     line           // of parent
	history  history        // of the timeline on which the backup starts
	walMode  walMode
	held     bool      // a slot holds WAL
	before   *wal.Held // where none does: the newest WAL before the start
	warnings warnings
}

// take does everything between lock and unlock.
func (r *run) take(ctx context.Context) (err error) {
	r.enter("starting")
	r.started = r.o.Clock()
	defer func() { err = errors.Join(err, r.before.Close()) }()
	list, err := r.prepare(ctx)
	if err != nil {
		return err
	}
	r.o.Log.Info("starting backup mode", "checkpoint", checkpointName(r.o.FastCheckpoint))
	label := "pgincr " + r.c.Info.Name + " " + r.started.UTC().Format(time.RFC3339)
	defer func() {
		if err != nil {
			err = errors.Join(err, r.abort(ctx))
		}
	}()
	start, err := r.s.StartBackup(ctx, label, r.o.FastCheckpoint)
	if err != nil {
		return err
	}
	if err := r.locate(ctx, start); err != nil {
		return err
	}
	unlockWAL, err := r.c.LockWAL(ctx, r.at.control.Geometry.WALFileName(r.at.control.Timeline,
		r.at.control.Geometry.SegmentOf(start)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlockWAL()) }()
	if r.o.Incremental {
		picked, err := r.at.choose(ctx, r.c, list)
		if err != nil {
			return err
		}
		r.parent, r.chain, r.line, r.fullWhy = picked.parent, picked.chain, picked.line, picked.reason
	}
	if r.chain != nil {
		defer func() { err = errors.Join(err, r.chain.Close()) }()
	}
	r.begin()
	return r.attempts(ctx)
}

func checkpointName(fast bool) string {
	if fast {
		return "fast"
	}
	return "spread"
}

// abort ends backup mode even if ctx has ended.
func (r *run) abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	return r.s.AbortBackup(ctx)
}

// prepare proves that the data directory is that of the server and of the cluster's entry, lists the
// backups to build on, and makes sure that WAL is kept from here on.
func (r *run) prepare(ctx context.Context) ([]*repo.Manifest, error) {
	control, _, err := readControl(ctx, r.o.DataDir)
	if err != nil {
		return nil, err
	}
	if err := belongsTo(r.o.DataDir, control, r.info); err != nil {
		return nil, err
	}
	if err := checkMajor(r.o.DataDir, r.info.Major()); err != nil {
		return nil, err
	}
	if id := r.c.Info.SystemIdentifier; id != control.SystemIdentifier {
		return nil, &repo.SystemIdentifierError{
			Cluster: r.c.Info.Name, Have: id, Want: control.SystemIdentifier,
		}
	}
	if have := r.c.Info.Geometry; have != control.Geometry {
		return nil, &GeometryError{Cluster: r.c.Info.Name, Have: have, Want: control.Geometry}
	}
	var list []*repo.Manifest
	if r.o.Incremental {
		if list, err = candidates(ctx, r.c, r.o.Parent); err != nil {
			return nil, err
		}
	}
	if r.walMode, err = r.chooseWALMode(ctx); err != nil {
		return nil, err
	}
	var why string
	if r.held, why = r.s.HoldWAL(ctx); !r.held {
		r.o.Log.Debug("no slot to hold WAL", "reason", why)
		if r.o.Incremental {
			var err error
			if r.before, err = wal.Hold(r.walDir, control.Geometry, control.Timeline, control.Redo); err != nil {
				r.before = nil // what is not held proves nothing, and more pages are compared
				r.warnings.add("WAL of before the backup cannot be looked at: %v", err)
			}
		}
	}
	return list, nil
}

// locate finds out where on which timeline the backup starts.
func (r *run) locate(ctx context.Context, start pg.LSN) error {
	control, _, err := readControl(ctx, r.o.DataDir)
	if err != nil {
		return err
	}
	if !r.info.InRecovery && control.Redo < start {
		// The checkpoint of this backup is in the server's pg_control, so it must be in this one.
		return &ForeignDirectoryError{Dir: r.o.DataDir, Cause: fmt.Sprintf(
			"its last checkpoint is at %s, the server's at %s", control.Redo, start)}
	}
	r.history, err = readHistory(ctx, r.walDir, r.c.WAL(r.o.Compression), control.Timeline)
	if err != nil {
		return err
	}
	if control.Timeline > 1 && r.history.file == nil {
		r.warnings.add("%s is neither in pg_wal nor in the archive: backups of earlier timelines "+
			"cannot be built on", pg.HistoryFileName(control.Timeline))
	}
	r.at = position{
		control: control, start: start, history: r.history.History,
		standby: r.info.InRecovery, version: r.info.Version,
		walDir: r.walDir, held: r.before, postmaster: r.info.PostmasterStart,
	}
	return nil
}

// begin fills in what the manifest says from the beginning.
func (r *run) begin() {
	kind := repo.TypeFull
	parent := ""
	if r.parent != nil {
		kind, parent = repo.TypeIncremental, r.parent.ID
	}
	if r.fullWhy != "" && r.parent != nil {
		r.warnings.add("%s; building on %s", r.fullWhy, parent)
		r.fullWhy = ""
	}
	control := r.at.control
	r.m = &repo.Manifest{
		Cluster: r.c.Info.Name, Type: kind, Parent: parent, Status: repo.StatusOK,
		Timeline: control.Timeline, StartLSN: r.at.start, StartedAt: r.started.UTC(),
		SystemIdentifier: control.SystemIdentifier, PGVersion: r.info.Version,
		FullReason: r.fullWhy, Annotations: r.o.Annotations,
		CorruptPages:   []repo.CorruptPage{},
		CatalogVersion: control.CatalogVersion, ControlVersion: control.ControlVersion,
		Geometry: control.Geometry, ChecksumVersion: control.ChecksumVersion,
		WALLogHints: control.WALLogHints, PostmasterStart: r.info.PostmasterStart,
		FromStandby: r.at.standby, History: string(r.history.file),
		DataDirectory: r.info.DataDirectory, Compression: r.o.Compression.String(),
		Version: r.o.Version,
	}
	if r.m.Annotations == nil {
		r.m.Annotations = map[string]string{}
	}
	if r.fullWhy != "" {
		r.o.Log.Info("taking a full backup", "reason", r.fullWhy)
	}
}

// enter begins a phase, for whoever watches.
func (r *run) enter(phase string) {
	r.o.Progress.enter(phase)
	r.o.Log.Debug("phase", "name", phase)
}
