package expire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// timeLayout is how times are told.
const timeLayout = time.RFC3339

// Options of a run.
type Options struct {
	Policy Policy
	DryRun bool
	Now    time.Time
	Log    *slog.Logger
}

// Run removes what the policy does not keep: backups, newest first, so that every backup that is there has its
// whole chain at every moment; then what interrupted backups left; then WAL, oldest first, and page maps. With DryRun
// it only looks and takes no lock.
//
// Each backup's removal has its own commit point, the deletion of its manifest. A run that was interrupted has removed
// nothing that is kept; the next one finishes.
//
// Errors: ErrPolicy, repo.ErrLocked when another run holds the lock, repo.ErrNewer when there is a backup that this
// program cannot understand: what it needs is not known.
func Run(ctx context.Context, c *repo.Cluster, o Options) (res *Result, err error) {
	if err := o.Policy.verify(); err != nil {
		return nil, err
	}
	r := &run{c: c, o: o, archive: c.WAL(repo.Compression{}), res: &Result{
		Cluster: c.Info.Name, DryRun: o.DryRun, Backups: []BackupResult{}, WAL: []WALRange{},
		Unfinished: []string{}, Resumable: []string{},
	}}
	if !o.DryRun {
		if r.remover, err = c.NewRemover(ctx); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, r.remover.Close()) }()
	}
	if err := r.judge(ctx); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{r.backups, r.unfinished, r.wal} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	for _, v := range r.verdicts {
		r.res.Backups = append(r.res.Backups, backupResult(v))
		if !v.Keep {
			r.res.StoredBytes += v.Manifest.StoredBytes
		}
	}
	return r.res, nil
}

// run is one call of Run at work.
type run struct {
	c        *repo.Cluster
	o        Options
	archive  *repo.WALArchive
	remover  *repo.Remover // nil in a dry run
	verdicts []*Verdict
	known    map[string]*Verdict        // the same by id
	files    map[pg.TimelineID][]string // what archived found, in a dry run
	res      *Result
}

// judge looks at everything and decides about the backups.
func (r *run) judge(ctx context.Context) error {
	all, err := r.c.Backups(ctx)
	if err != nil {
		return err
	}
	files, err := r.archived(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, names := range files {
		for _, name := range names {
			there[name] = true
		}
	}
	byID := map[string]*repo.Manifest{}
	for _, m := range all {
		byID[m.ID] = m
		if m.Status != repo.StatusOK {
			if err := r.refuseNewer(ctx, m.ID); err != nil {
				return err
			}
		}
	}
	damaged := func(m *repo.Manifest) string { return damage(m, byID, there) }
	pins, err := r.c.Pins(ctx)
	if err != nil {
		return err
	}
	pinned := map[string]string{}
	for id, p := range pins {
		pinned[id] = pinReason(p)
	}
	held, err := r.c.Locks(ctx)
	if err != nil {
		return err
	}
	used := map[string]string{}
	for _, l := range held {
		if l.Kind == repo.LockUsing {
			used[l.Backup] = l.String()
		}
	}
	r.verdicts = judge(r.o.Policy, r.o.Now, all, damaged, pinned, used)
	r.known = map[string]*Verdict{}
	for _, v := range r.verdicts {
		r.known[v.Manifest.ID] = v
	}
	return nil
}

// refuseNewer fails for a manifest that a newer program wrote.
func (r *run) refuseNewer(ctx context.Context, id string) error {
	if _, err := r.c.Backup(ctx, id); errors.Is(err, repo.ErrNewer) {
		return fmt.Errorf("backup %s: nothing is removed, because what it needs is not known: %w", id, err)
	}
	return nil
}

// damage says why a backup cannot be restored, as far as manifests and names tell.
func damage(m *repo.Manifest, byID map[string]*repo.Manifest, archived map[string]bool) string {
	if m.Status == repo.StatusOK {
		if why := missing(m, archived); why != "" {
			return why
		}
	}
	for range len(byID) {
		if m.Status != repo.StatusOK {
			if len(m.Warnings) > 0 {
				return m.Warnings[0]
			}
			return "backup " + m.ID + " is broken"
		}
		if m.Parent == "" {
			return ""
		}
		parent := repo.BuiltOn(byID, m)
		if parent == nil {
			return fmt.Sprintf("backup %s is built on %s, which is not there", m.ID, m.Parent)
		}
		m = parent
	}
	return "its chain has no end"
}

func pinReason(p *repo.Pin) string {
	switch {
	case p == nil:
		return "pinned; the pin cannot be read"
	case p.Note != "":
		return "pinned by " + p.By + ": " + p.Note
	default:
		return "pinned by " + p.By
	}
}

// backups removes those that are not kept. What turns out to be in use stays, with what it is built on.
func (r *run) backups(ctx context.Context) error {
	if r.o.DryRun {
		return nil
	}
	for _, v := range slices.Backward(r.verdicts) {
		if v.Keep {
			continue
		}
		err := r.remover.Backup(ctx, v.Manifest.ID)
		var inUse *repo.InUseError
		switch {
		case errors.As(err, &inUse):
			v.Keep, v.Reasons, v.follow = true, []string{inUse.Reason}, true
			r.o.Log.Warn("backup left alone", "id", v.Manifest.ID, "cause", inUse.Reason)
		case err != nil:
			return err
		default:
			r.o.Log.Info("backup removed", "id", v.Manifest.ID)
		}
	}
	return nil
}

// unfinished removes what interrupted backups left, unless the next of the type can go on with it.
func (r *run) unfinished(ctx context.Context) error {
	ids, err := r.c.BackupIDs(ctx)
	if err != nil {
		return err
	}
	for _, kind := range []string{repo.TypeFull, repo.TypeIncremental} {
		id, err := r.c.Resumable(ctx, ids, kind)
		if err != nil {
			return err
		}
		if id != "" {
			r.res.Resumable = append(r.res.Resumable, id)
		}
	}
	for _, id := range ids {
		if r.known[id] != nil || slices.Contains(r.res.Resumable, id) {
			continue
		}
		remove := r.isUnfinished
		if !r.o.DryRun {
			remove = r.remover.Unfinished
		}
		err := remove(ctx, id)
		var inUse *repo.InUseError
		if errors.As(err, &inUse) {
			continue // begun, or finished, meanwhile
		}
		if err != nil {
			return err
		}
		r.res.Unfinished = append(r.res.Unfinished, id)
	}
	return nil
}

// isUnfinished only looks whether Remover.Unfinished would remove it.
func (r *run) isUnfinished(ctx context.Context, id string) error {
	held, err := r.c.Locks(ctx)
	if err != nil {
		return err
	}
	for _, l := range held {
		if l.Kind == repo.LockTaking && l.Backup == id {
			return &repo.InUseError{Backup: id, Reason: l.String()}
		}
	}
	switch _, err := r.c.Backup(ctx, id); {
	case errors.Is(err, repo.ErrNotFound):
		return nil
	case err == nil || errors.Is(err, repo.ErrCorrupt) || errors.Is(err, repo.ErrNewer):
		return &repo.InUseError{Backup: id, Reason: "it has a manifest"}
	default:
		return err
	}
}

// wal removes WAL that is not needed, deciding when nobody can begin to need more.
func (r *run) wal(ctx context.Context) error {
	if !r.o.DryRun {
		return r.remover.WAL(ctx, r.chooseWAL)
	}
	held, err := r.c.Locks(ctx)
	if err == nil {
		_, err = r.chooseWAL(ctx, held)
	}
	return err
}

// chooseWAL decides with the backups that are there now: one that was taken meanwhile counts, too.
func (r *run) chooseWAL(ctx context.Context, held []repo.HeldLock) (remove repo.WALRemoval, err error) {
	kept, err := r.kept(ctx)
	if err != nil {
		return remove, err
	}
	there, err := r.archived(ctx)
	if err != nil {
		return remove, err
	}
	parts, err := r.archive.AllParts(ctx)
	if err != nil {
		return remove, err
	}
	for _, p := range parts { // there may be nothing else of their timeline
		if tli, _, err := r.c.Info.Geometry.ParseWALFileName(p.Segment); err == nil && there[tli] == nil {
			there[tli] = nil
		}
	}
	lines, err := r.lines(ctx, sortedKeys(there), kept)
	if err != nil {
		return remove, err
	}
	n := newNeed(r.c.Info.Geometry, kept, lines, held)
	for _, tli := range sortedKeys(there) {
		ranges, files := n.sortWAL(tli, there[tli])
		r.res.WAL = append(r.res.WAL, ranges...)
		remove.Files = append(remove.Files, files...)
	}
	names, err := r.archive.ListMaps(ctx, "")
	if err != nil {
		return remove, err
	}
	remove.Parts, remove.Maps = n.sortParts(parts), n.sortMaps(names)
	r.res.WALFiles, r.res.Maps = len(remove.Files)+len(remove.Parts), len(remove.Maps)
	return remove, nil
}

// kept gives the verdicts on the backups that are there, or will be.
func (r *run) kept(ctx context.Context) ([]*Verdict, error) {
	ids, err := r.c.BackupIDs(ctx)
	if err != nil {
		return nil, err
	}
	var kept []*Verdict
	for _, id := range ids {
		v := r.known[id]
		if v == nil { // taken meanwhile, or no backup
			m, err := r.c.Backup(ctx, id)
			if errors.Is(err, repo.ErrNotFound) || errors.Is(err, repo.ErrCorrupt) {
				continue
			}
			if err != nil {
				return nil, err
			}
			v = &Verdict{Manifest: m, Keep: true, follow: true}
		}
		if v.Keep {
			kept = append(kept, v)
		}
	}
	return kept, nil
}

// archived lists the archived WAL by timeline, a dry run once.
func (r *run) archived(ctx context.Context) (map[pg.TimelineID][]string, error) {
	if r.files != nil {
		return maps.Clone(r.files), nil
	}
	timelines, err := r.archive.Timelines(ctx)
	if err != nil {
		return nil, err
	}
	files := map[pg.TimelineID][]string{}
	for _, tli := range timelines {
		if files[pg.TimelineID(tli)], err = r.archive.List(ctx, tli, ""); err != nil {
			return nil, err
		}
	}
	if r.o.DryRun {
		r.files = maps.Clone(files)
	}
	return files, nil
}

// lines gives the histories of timelines, from the archive or from backups. One that cannot be had is nil.
func (r *run) lines(
	ctx context.Context, timelines []pg.TimelineID, kept []*Verdict,
) (map[pg.TimelineID]*pg.History, error) {
	lines := map[pg.TimelineID]*pg.History{}
	for _, tli := range timelines {
		h, content, err := wal.ReadHistory(ctx, r.archive, tli)
		var key *repo.KeyError // a key to back up with reads no WAL
		if err != nil && content == nil &&
			!errors.Is(err, repo.ErrNotFound) && !errors.Is(err, repo.ErrCorrupt) && !errors.As(err, &key) {
			return nil, err
		}
		for _, v := range kept {
			if err != nil && v.Manifest.Timeline == tli {
				h, err = pg.ParseHistory(tli, []byte(v.Manifest.History))
			}
		}
		if err == nil && (tli == 1 || len(h.Ancestors) > 0) {
			lines[tli] = &h
		} else {
			lines[tli] = nil
		}
	}
	return lines, nil
}
