package expire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	full1, incr1 = "20261101T000000Z-F", "20261102T000000Z-I"
	full2, incr2 = "20261108T000000Z-F", "20261109T000000Z-I"
)

// store commits a backup without files that began in a WAL segment.
func store(ctx context.Context, c *repo.Cluster, id, parent string, segment pg.SegNo) error {
	begun, kind, err := repo.ParseID(id)
	if err != nil {
		return err
	}
	b, err := c.CreateBackup(ctx, id, repo.Compression{})
	if err != nil {
		return err
	}
	if err := b.PutControl(ctx, bytes.Repeat([]byte{7}, pg.ControlFileSize)); err != nil {
		return err
	}
	start := c.Info.Geometry.SegmentStart(segment) + 0x28
	return b.Commit(ctx, &repo.Manifest{
		ID: id, Cluster: c.Info.Name, Type: kind, Parent: parent, Status: repo.StatusOK, Timeline: 1,
		StartLSN: start, StopLSN: start + 0x100, StartedAt: begun, FinishedAt: begun,
		SystemIdentifier: c.Info.SystemIdentifier, PGVersion: c.Info.PGVersion, Geometry: c.Info.Geometry, Version: "test",
		WAL: repo.WALNeed{Mode: repo.WALArchived, Segments: []string{c.Info.Geometry.WALFileName(1, segment)}},
	})
}

// twoWeeks makes a cluster of two full backups with an incremental each, the rest of an interrupted one, and
// WAL and maps of the segments 1 to 12.
func twoWeeks(t testing.TB, st repo.Store) *repo.Cluster {
	t.Helper()
	ctx := t.Context()
	g := pg.DefaultGeometry()
	c, _, err := repo.Init(ctx, st, repo.ClusterInfo{Name: "main", SystemIdentifier: 7, PGVersion: 150018, Geometry: g})
	must(t, err)
	must(t, store(ctx, c, full1, "", 2))
	must(t, store(ctx, c, incr1, full1, 4))
	must(t, store(ctx, c, full2, "", 6))
	must(t, store(ctx, c, incr2, full2, 8))
	w, err := st.Create(ctx, "main/backups/20261110T000000Z-F/data-000001")
	must(t, err)
	_, err = w.Write([]byte("half a pack"))
	must(t, errors.Join(err, w.Commit(ctx)))
	a := c.WAL(repo.Compression{})
	for n := pg.SegNo(1); n <= 12; n++ {
		must(t, a.Put(ctx, g.WALFileName(1, n), strings.NewReader("wal")))
		must(t, a.PutMap(ctx, g.WALFileName(1, n), []byte("map")))
	}
	return c
}

func options(p Policy) Options {
	return Options{Policy: p, Now: now, Log: slog.New(slog.DiscardHandler)}
}

// there is what of twoWeeks is in the repository.
func there(t testing.TB, c *repo.Cluster) string {
	t.Helper()
	ids, err := c.BackupIDs(t.Context())
	must(t, err)
	a := c.WAL(repo.Compression{})
	files, err := a.List(t.Context(), 1, "")
	must(t, err)
	maps, err := a.ListMaps(t.Context(), "")
	must(t, err)
	return fmt.Sprintf("%s; WAL %s; maps %s", strings.Join(ids, " "), span(files), span(maps))
}

func span(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return fmt.Sprintf("%s-%s", names[0][22:], names[len(names)-1][22:])
}

const (
	allOfThem = full1 + " " + incr1 + " " + full2 + " " + incr2 + " 20261110T000000Z-F; WAL 01-0C; maps 01-0C"
	secondOne = full2 + " " + incr2 + "; WAL 06-0C; maps 06-0C"
)

// A dry run says what the run does, and does nothing.
func TestRun(t *testing.T) {
	c := twoWeeks(t, storetest.NewMemory())
	o := options(Policy{KeepFull: 1})
	o.DryRun = true
	plan, err := Run(t.Context(), c, o)
	must(t, err)
	if d := cmp.Diff(allOfThem, there(t, c)); d != "" {
		t.Error(d)
	}
	o.DryRun = false
	res, err := Run(t.Context(), c, o)
	must(t, err)
	if d := cmp.Diff(secondOne, there(t, c)); d != "" {
		t.Error(d)
	}
	plan.DryRun = false
	if d := cmp.Diff(plan, res, cmpopts.IgnoreUnexported(WALRange{})); d != "" {
		t.Error(d)
	}
	if res.Removed() != 2 || len(res.Unfinished) != 1 || res.WALFiles != 5 || res.Maps != 5 || res.Damaged() != 0 {
		t.Errorf("%+v", res)
	}
	again, err := Run(t.Context(), c, o)
	must(t, err)
	if again.Removed() != 0 || again.WALFiles != 0 || there(t, c) != secondOne {
		t.Errorf("%+v", again)
	}
	if _, err := Run(t.Context(), c, options(Policy{WALDays: 3})); !errors.Is(err, ErrPolicy) {
		t.Errorf("no rule: %v", err)
	}
	if _, err := Run(t.Context(), c, options(Policy{KeepFull: -1})); !errors.Is(err, ErrPolicy) {
		t.Errorf("a negative one: %v", err)
	}
}

// Parts of segments go when no backup needs the segment. Those of a timeline of which there is nothing else are
// judged as its segments would be.
func TestRunParts(t *testing.T) {
	ctx := t.Context()
	c := twoWeeks(t, storetest.NewMemory())
	a := c.WAL(repo.Compression{})
	part := func(tli pg.TimelineID, n pg.SegNo) repo.Part {
		return repo.Part{Segment: c.Info.Geometry.WALFileName(tli, n), End: 3}
	}
	for _, p := range []repo.Part{part(1, 5), part(1, 13), part(2, 5)} {
		must(t, a.PutPart(ctx, p, strings.NewReader("wal")))
	}
	res, err := Run(ctx, c, options(Policy{KeepFull: 1}))
	if err != nil || res.WALFiles != 6 {
		t.Errorf("%+v, %v", res, err)
	}
	got, err := a.AllParts(ctx)
	if d := cmp.Diff([]repo.Part{part(1, 13), part(2, 5)}, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

// What is pinned, used, or needed by a backup that is being taken stays; a second run at the same time is refused.
func TestHeld(t *testing.T) {
	ctx := t.Context()
	c := twoWeeks(t, storetest.NewMemory())
	_, err := c.Pin(ctx, repo.Pin{Backup: full1, By: "me", Note: "audit"})
	must(t, err)
	u, err := c.Use(ctx, incr1)
	must(t, err)
	res, err := Run(ctx, c, options(Policy{KeepFull: 1}))
	must(t, err)
	if res.Removed() != 0 || res.WALFiles != 2 { // 1 and 3: all behind incr1, what full1 needs
		t.Errorf("%+v", res)
	}
	must(t, u.Release())
	if _, err = Run(ctx, c, options(Policy{KeepFull: 1})); err != nil {
		t.Error(err)
	}
	if got := there(t, c); got != full1+" "+full2+" "+incr2+"; WAL 02-0C; maps 02-0C" {
		t.Error(got)
	}
	unlock, err := c.Lock(ctx, string(repo.LockExpire))
	must(t, err)
	if _, err = Run(ctx, c, options(Policy{KeepFull: 1})); !errors.Is(err, repo.ErrLocked) {
		t.Errorf("two at once: %v", err)
	}
	must(t, unlock())
	removed, err := c.Unpin(ctx, full1)
	if err != nil || !removed {
		t.Error(removed, err)
	}
	unlock, err = c.Lock(ctx, string(repo.LockBackup))
	must(t, err)
	_, err = Run(ctx, c, options(Policy{KeepFull: 1}))
	must(t, errors.Join(err, unlock()))
	if got := there(t, c); got != full2+" "+incr2+"; WAL 02-0C; maps 02-0C" {
		t.Errorf("while a backup began: %s", got)
	}
	_, err = Run(ctx, c, options(Policy{KeepFull: 1}))
	must(t, err)
	if got := there(t, c); got != secondOne {
		t.Error(got)
	}
}

// Damaged backups are told and stay; one whose WAL is gone counts for nothing.
func TestDamaged(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := twoWeeks(t, st)
	st.Damage("main/backups/"+full2+"/manifest.json", []byte("damaged"))
	res, err := Run(ctx, c, options(Policy{KeepFull: 1}))
	must(t, err)
	if res.Damaged() != 2 || res.Removed() != 0 {
		t.Errorf("%+v", res)
	}
	p := Policy{KeepFull: 1, Damaged: true}
	if _, err = Run(ctx, c, options(p)); err != nil {
		t.Error(err)
	}
	if got := there(t, c); got != full1+" "+incr1+"; WAL 02-0C; maps 02-0C" {
		t.Error(got)
	}
	must(t, store(ctx, c, full2, "", 1)) // whose WAL is not archived any more
	if res, err = Run(ctx, c, options(p)); err != nil || res.Removed() != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A manifest of a newer format may need anything: nothing is removed.
func TestNewer(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := twoWeeks(t, st)
	newer := "{\n  \"format\": 99,\n  \"xxh64\": \"0000000000000000\"\n}\n"
	st.Damage("main/backups/"+full1+"/manifest.json", []byte(newer))
	before := there(t, c)
	if _, err := Run(ctx, c, options(Policy{KeepFull: 1, Damaged: true})); !errors.Is(err, repo.ErrNewer) {
		t.Errorf("%v", err)
	}
	if d := cmp.Diff(before, there(t, c)); d != "" {
		t.Error(d)
	}
}

// The history of a timeline comes from the archive, or from a backup; where neither tells, its WAL stays.
func TestHistories(t *testing.T) {
	ctx := t.Context()
	c := twoWeeks(t, storetest.NewMemory())
	g := c.Info.Geometry
	a := c.WAL(repo.Compression{})
	for tli := pg.TimelineID(2); tli <= 4; tli++ {
		must(t, a.Put(ctx, g.WALFileName(tli, 9), strings.NewReader("wal")))
	}
	must(t, a.Put(ctx, pg.HistoryFileName(3), strings.NewReader("nonsense")))
	must(t, a.Put(ctx, pg.HistoryFileName(4), strings.NewReader("1\t0/9000100\tpromoted\n")))
	m, err := c.Backup(ctx, incr2)
	must(t, err)
	m.Timeline, m.History, m.WAL.Mode, m.WAL.Segments = 2, "1\t0/1000\tpromoted\n", repo.WALCarried, nil
	r := &run{c: c, archive: a}
	lines, err := r.lines(ctx, []pg.TimelineID{1, 2, 3, 4, 5}, []*Verdict{{Manifest: m}})
	must(t, err)
	var known []pg.TimelineID
	for tli, h := range lines {
		if h != nil {
			known = append(known, tli)
		}
	}
	slices.Sort(known)
	if d := cmp.Diff([]pg.TimelineID{1, 2, 4}, known); d != "" {
		t.Error(d)
	}
}

// What a compacted backup stands for goes; what was built on it stays, on the compacted one.
func TestCompacted(t *testing.T) {
	ctx := t.Context()
	c := twoWeeks(t, storetest.NewMemory())
	third, child := repo.CompactedID(incr2), "20261111T000000Z-I"
	must(t, store(ctx, c, child, incr2, 10))
	b, err := c.CreateCompacted(ctx, incr2, repo.Compression{})
	must(t, err)
	must(t, b.PutControl(ctx, bytes.Repeat([]byte{7}, pg.ControlFileSize)))
	m, err := c.Backup(ctx, incr2)
	must(t, err)
	m.ID, m.Type, m.Parent, m.CompactedFrom, m.CompactedAt = third, repo.TypeFull, "", incr2, now
	must(t, b.Commit(ctx, m))
	_, err = Run(ctx, c, options(Policy{KeepFull: 1}))
	must(t, err)
	if got := there(t, c); got != third+" "+child+"; WAL 08-0C; maps 08-0C" {
		t.Error(got)
	}
	last, err := c.Backup(ctx, child)
	must(t, err)
	if _, err := c.Chain(ctx, last); err != nil {
		t.Error(err)
	}
}

// Wherever it fails, everything that is kept is whole, and the next run finishes.
func TestRunFails(t *testing.T) {
	for _, mode := range []storetest.FaultMode{storetest.FailOnce, storetest.FailLate, storetest.Die} {
		t.Run(mode.String(), func(t *testing.T) {
			for n := 1; ; n++ {
				st := storetest.NewMemory()
				twoWeeks(t, st)
				faults := storetest.NewFaults(st, mode, n)
				err := runOn(t.Context(), faults)
				st.DropLocks() // as when the process ended
				if faults.Fired() && mode != storetest.FailLate && !errors.Is(err, storetest.ErrInjected) {
					t.Fatalf("operation %d failed and the result is %v", n, err)
				}
				c, openErr := repo.OpenCluster(t.Context(), st, "main")
				must(t, openErr)
				verifyWhole(t, c)
				must(t, runOn(t.Context(), st))
				if got := there(t, c); got != secondOne {
					t.Fatalf("after operation %d: %s", n, got)
				}
				if !faults.Fired() {
					must(t, err)
					t.Logf("%d operations", n-1)
					return
				}
			}
		})
	}
}

func runOn(ctx context.Context, st repo.Store) error {
	c, err := repo.OpenCluster(ctx, st, "main")
	if err == nil {
		_, err = Run(ctx, c, options(Policy{KeepFull: 1}))
	}
	return err
}

// verifyWhole wants every backup to have its chain and WAL, and the kept ones to be there.
func verifyWhole(t *testing.T, c *repo.Cluster) {
	t.Helper()
	all, err := c.Backups(t.Context())
	must(t, err)
	files, err := c.WAL(repo.Compression{}).List(t.Context(), 1, "")
	must(t, err)
	for _, id := range []string{full2, incr2} {
		if !slices.ContainsFunc(all, func(m *repo.Manifest) bool { return m.ID == id }) {
			t.Errorf("%s is gone", id)
		}
	}
	for _, m := range all {
		if _, err := c.Chain(t.Context(), m); err != nil {
			t.Error(err)
		}
		if !slices.Contains(files, m.WAL.Segments[0]) {
			t.Errorf("%s: its WAL is gone", m.ID)
		}
	}
}
