package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/pkg/pagescan"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// attempts copies, once more by page scan when a page map that auto chose turns out to
// be wrong, and then ends the backup.
func (r *run) attempts(ctx context.Context) error {
	wrong := ""
	for {
		err := r.attempt(ctx, wrong)
		var mapErr *MapError
		if !errors.As(err, &mapErr) || r.o.PageMap != MapAuto || wrong != "" {
			return err
		}
		wrong = mapErr.Error()
		r.warnings.add("page map: %s; copying again by page scan", wrong)
	}
}

// attempt writes one backup, from its first object to its manifest. Until then everything goes
// when it fails; when it is interrupted, finished packs stay for the next one.
func (r *run) attempt(ctx context.Context, wrong string) (err error) {
	var src *chosen
	limit := pace.New(r.o.RateLimit, r.o.Clock)
	if r.parent != nil {
		if src, err = r.chooser(wrong, limit).choose(ctx, r.o.PageMap); err != nil {
			return err
		}
		r.m.PageMap = src.result
		about := []any{"source", src.result.Source, "parent", r.parent.ID}
		if why := src.result.FallbackReason; why != "" {
			about = append(about, "fallback_reason", why)
		}
		r.o.Log.Info("page map", about...)
	}
	b, err := r.create(ctx)
	if err != nil {
		return err
	}
	if r.o.PackSize > 0 {
		b.SetPackSize(r.o.PackSize)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.giveUp(ctx, b, isInterruption(ctx, err)))
		}
	}()
	carrier := r.carrier(b)
	out, err := r.copyWhileCarrying(ctx, r.copier(b, src, limit), carrier)
	if err != nil {
		return err
	}
	if err := r.finish(ctx, b, carrier); err != nil {
		return err
	}
	r.report(out, src)
	r.enter("committing")
	if err := b.Commit(ctx, r.m); err != nil {
		return err
	}
	r.tidy(ctx, b)
	return nil
}

func (r *run) chooser(wrong string, limit *pace.Limiter) *chooser {
	return &chooser{
		position: r.at, parent: r.parent, line: r.line, info: r.info, session: r.s,
		archive: r.c.WAL(r.o.Compression), jobs: r.o.Jobs,
		trust: !r.o.NoTrustMtime && !r.parent.ClockStepped, now: r.o.Clock(), wrong: wrong,
		limit: limit,
	}
}

// create begins the backup in the repository: it goes on with an interrupted one, or begins anew under a name made of
// its time. A name that is taken moves it on by a second: names only have to differ.
func (r *run) create(ctx context.Context) (*repo.BackupWriter, error) {
	b, err := r.resume(ctx)
	if b != nil || err != nil {
		return b, err
	}
	suffix := "F"
	if r.parent != nil {
		suffix = "I"
	}
	const tries = 100
	at := r.m.StartedAt
	for i := range tries {
		id := at.Add(time.Duration(i)*time.Second).Format("20060102T150405Z") + "-" + suffix
		b, err := r.c.CreateBackup(ctx, id, r.o.Compression)
		if err == nil {
			r.m.ID = id
			return b, nil
		}
		if !errors.Is(err, repo.ErrExists) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no free name for a backup from %s on", at.Format(time.RFC3339))
}

// copier puts together what copies the data directory.
func (r *run) copier(b *repo.BackupWriter, src *chosen, limit *pace.Limiter) *copier {
	control := r.at.control
	c := &copier{
		walker: walker{
			root: r.o.DataDir, major: r.info.Major(),
			versionDir: pg.TablespaceVersionDir(r.info.Major(), control.CatalogVersion),
			skipped:    &warnings{log: r.o.Log},
		},
		planner:   planner{geometry: control.Geometry},
		start:     r.at.start,
		checksums: control.ChecksumVersion != 0 && r.o.VerifyChecksums != verifyOff,
		jobs:      r.o.Jobs,
		packs:     func() packWriter { return b.NewPackWriter() },
		earlier:   earlierOf(b),
		window:    newWindow(control.Geometry, b.AppendFile),
		limit:     limit,
		progress:  r.o.Progress,
	}
	c.verifyAll = c.checksums && r.o.VerifyChecksums == verifyAll
	if src == nil {
		return c
	}
	c.since = r.parent.StartLSN
	c.source, c.compare, c.mapped = src.source, src.compare, src.mapped
	c.retake = r.retake()
	c.parents = r.chain.Files
	c.hashes = func(ctx context.Context, f *repo.ChainFile) ([]uint64, error) {
		return f.PageHashes(ctx, r.chain, control.Geometry)
	}
	return c
}

// retake lists the blocks that were corrupt in the parent: they are taken again whatever a source says, so
// that a page that was repaired does not stay corrupt in the chain, and one that was not
// is reported again.
func (r *run) retake() map[string][]pg.BlockNumber {
	out := map[string][]pg.BlockNumber{}
	for _, p := range r.parent.CorruptPages {
		if s, ok := pg.ParseRelPath(p.Path); ok {
			first := pg.BlockNumber(s.Segno) * pg.BlockNumber(r.at.control.Geometry.RelSegBlocks)
			if p.Block >= first {
				out[p.Path] = append(out[p.Path], p.Block-first)
			}
		}
	}
	return out
}

// aliveEvery is how often the server is asked, while files are copied, whether it is still there: without its session
// a backup is nothing, and a copy of hours would learn of that at its end.
const aliveEvery = 5 * time.Second

// watch fails when the session is lost before stop is closed.
func (r *run) watch(ctx context.Context, stop <-chan struct{}) error {
	tick := time.NewTicker(r.o.aliveEvery)
	defer tick.Stop()
	for {
		if more, err := pause(ctx, stop, tick.C); !more {
			return err
		}
		if err := r.s.Alive(ctx); err != nil {
			return err
		}
	}
}

// copyWhileCarrying copies the data directory, and finished WAL beside it.
func (r *run) copyWhileCarrying(ctx context.Context, c *copier, wal *carrier) (out copied, err error) {
	r.o.Progress.restart()
	r.enter("copying")
	g, gctx := errgroup.WithContext(ctx)
	stop := make(chan struct{})
	if wal != nil {
		g.Go(func() error { return wal.follow(gctx, stop) })
	}
	g.Go(func() error { return r.watch(gctx, stop) })
	g.Go(func() (err error) {
		defer close(stop)
		out, err = c.run(gctx)
		return err
	})
	return out, g.Wait()
}

// finish copies pg_control, ends backup mode and sees to the WAL.
func (r *run) finish(ctx context.Context, b *repo.BackupWriter, wal *carrier) error {
	r.enter("stopping")
	// The last file, and before the end of backup mode: a standby's copy is consistent from the
	// minimum recovery point in its pg_control on, which must lie behind all pages copied.
	control, raw, err := readControl(ctx, r.o.DataDir)
	if err != nil {
		return err
	}
	if err := b.PutControl(ctx, raw); err != nil {
		return err
	}
	if err := r.keepConfiguration(ctx, b); err != nil {
		return err
	}
	// Before the end as well: a database that is made later is none that a restore could leave out.
	databases, err := r.s.Databases(ctx)
	if err != nil {
		return err
	}
	r.m.Databases = nil
	for _, d := range databases {
		r.m.Databases = append(r.m.Databases, repo.Database{OID: d.OID, Name: d.Name, Template: d.Template})
	}
	stopped, notices, err := r.s.StopBackup(ctx)
	if err != nil {
		return err
	}
	for _, n := range notices {
		r.o.Log.Debug("server", "notice", n)
	}
	label, err := pg.ParseBackupLabel(stopped.Label)
	if err != nil {
		return err
	}
	if label.Start != r.at.start || label.Timeline != r.m.Timeline {
		return fmt.Errorf("backup_label: starts at %s on timeline %d, not at %s on timeline %d: "+
			"the timeline changed while the backup began; take it again",
			label.Start, label.Timeline, r.at.start, r.m.Timeline)
	}
	r.m.StopLSN = stopped.StopLSN
	r.m.BackupLabel = string(stopped.Label)
	r.m.TablespaceMap = string(stopped.TablespaceMap)
	if r.parent != nil && r.m.StopLSN < r.parent.StopLSN {
		return fmt.Errorf("this backup ends at %s, before its parent's end at %s: "+
			"its pages may be newer than the WAL that is replayed", r.m.StopLSN, r.parent.StopLSN)
	}
	return r.secureWAL(ctx, b, control, wal)
}

// report fills in what the copy found.
func (r *run) report(out copied, src *chosen) {
	m := r.m
	m.FinishedAt = r.o.Clock().UTC()
	m.SizeBytes, m.FilesTotal = out.size+pg.ControlFileSize, out.files+1
	m.BlocksTotal, m.BlocksStored = out.blocks, out.stored
	m.BytesRead = out.read + pg.ControlFileSize
	m.Tablespaces = append([]pg.TablespaceLink{}, out.tablespaces...)
	m.ClockStepped = pagescan.ClockStepped(r.started, r.o.Clock())
	m.CorruptPages = append(m.CorruptPages, out.corrupt...)
	for _, p := range out.future {
		if p.lsn > m.StopLSN {
			m.CorruptPages = append(m.CorruptPages, repo.CorruptPage{
				Path: p.path, Block: p.block,
				Cause: fmt.Sprintf("changed at %s, which is behind the end of WAL at %s",
					p.lsn, m.StopLSN),
			})
		}
	}
	sortCorrupt(m.CorruptPages)
	if out.more > 0 {
		r.warnings.add("%d more corrupt pages are not listed", out.more)
	}
	for _, path := range out.orphans {
		r.warnings.add("%s: lies behind a short segment of its relation, not part of the backup", path)
	}
	if src != nil {
		m.BytesRead += src.bytesRead()
		if src.cross != nil {
			m.CrossFindings = src.cross.sorted()
			if src.cross.more > 0 {
				r.warnings.add("%d more differences between map and scan are not listed", src.cross.more)
			}
		}
	}
	m.Warnings = append(r.warnings.all(), out.skipped...)
}
