package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// smallPacks makes each frame a pack, so that all but the last are listed.
func smallPacks(change func(*Options)) func(*Options) {
	return func(o *Options) {
		o.PackSize, o.Jobs = 1, 1
		if change != nil {
			change(o)
		}
	}
}

// interrupt takes a backup that is interrupted when its files are copied, and gives the id of what it left.
func (x *site) interrupt(t *testing.T, cause error, change func(*Options)) string {
	t.Helper()
	o := x.o
	smallPacks(change)(&o)
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	ctx, cancel := context.WithCancelCause(t.Context())
	x.s.hook = func(method string) error {
		switch {
		case method != "StopBackup":
			return nil
		case cause == nil:
			cancel(errors.New("a signal"))
			return nil
		}
		return cause
	}
	defer func() { x.s.hook = nil }()
	if _, err := Run(ctx, x.s, x.c, o); err == nil {
		t.Fatal("not interrupted")
	}
	if x.s.running {
		t.Error("backup mode is on")
	}
	kind := repo.TypeFull
	if o.Incremental {
		kind = repo.TypeIncremental
	}
	id := x.resumable(t, kind)
	if id != "" != strings.Contains(log.String(), "goes on with what was stored") {
		t.Errorf("%q is left, and it was said: %s", id, log.String())
	}
	return id
}

// resumable gives the id under which the next backup of the type goes on, or "".
func (x *site) resumable(t *testing.T, kind string) string {
	t.Helper()
	ids, err := x.c.BackupIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, err := x.c.Resumable(t.Context(), ids, kind)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// change is what a server does between the attempts.
func (x *site) change(t *testing.T) {
	t.Helper()
	write(t, x.root, "base/5/16384", pages(testPage(0x200000, 0, 0), testPage(0x600000, 'n', 1),
		testPage(0x600000, 'n', 2), testPage(0x600000, 'n', 3))) // grown, into zero pages too
	write(t, x.root, "base/5/16390", testPage(0x650000, 'n', 0))
	write(t, x.root, "base/5/16384_fsm", testPage(0, 'g', 0))
	write(t, x.root, "postgresql.conf", []byte("port = 5433\n")) // of the same size
	if err := os.Remove(filepath.Join(x.root, "base/5/16386")); err != nil {
		t.Fatal(err)
	}
}

// The next backup goes on under the id of the one that was interrupted, holds what is there now, and says what of the
// first attempt is in it.
func TestRunGoesOn(t *testing.T) {
	for _, kind := range []string{repo.TypeFull, repo.TypeIncremental} {
		for _, changed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, changed %v", kind, changed), func(t *testing.T) {
				x := newSite(t)
				order := func(*Options) {}
				backups := 1
				if kind == repo.TypeIncremental {
					x.must(t, nil)
					x.s.advance(t, x.root, 0x700028, 0x7F0100)
					for rel := range 3 {
						write(t, x.root, fmt.Sprintf("base/5/%d", 16384+rel), pages(
							testPage(0x600000, byte(rel), 0), zeroPage(), testPage(0x200000, 'x', 2)))
					}
					order, backups = incremental(MapHash), 2
					time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // for another id
				}
				id := x.interrupt(t, nil, order)
				if id == "" {
					t.Fatal("nothing is left")
				}
				if changed {
					x.s.advance(t, x.root, 0x900028, 0x9F0100)
					x.change(t)
				}
				want := readTree(t, x.root)
				began := time.Now()
				m := x.must(t, smallPacks(order))
				if d := cmp.Diff(want, x.tree(t, m)); d != "" {
					t.Errorf("restored files (-want +got):\n%s", d)
				}
				x.clean(t, backups)
				if m.ID != id || m.Type != kind || m.StartLSN != x.s.start || m.StartedAt.Before(began.Add(-time.Second)) {
					t.Errorf("%s, %s from %s, begun %s; want %s", m.ID, m.Type, m.StartLSN, m.StartedAt, id)
				}
				if m.TakenOver == nil || m.TakenOver.Frames == 0 || m.TakenOver.Bytes == 0 {
					t.Errorf("taken over: %+v", m.TakenOver)
				}
				if next := x.must(t, nil); next.ID == id || next.TakenOver != nil {
					t.Errorf("%s, taken over: %+v", next.ID, next.TakenOver)
				}
			})
		}
	}
}

// What ended a backup says whether anything is left: what comes from outside, or what it found.
func TestRunLeaves(t *testing.T) {
	for name, tt := range map[string]struct {
		cause error
		left  bool
	}{
		"a signal":                 {nil, true},
		"the repository is away":   {fmt.Errorf("x: %w", repo.ErrUnreachable), true},
		"the session is lost":      {fmt.Errorf("x: %w", server.ErrSessionLost), true},
		"the server refuses":       {errPlanted, false},
		"a page map that is wrong": {&MapError{Path: "base/5/1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := newSite(t)
			id := x.interrupt(t, tt.cause, nil)
			if id != "" != tt.left {
				t.Errorf("left: %q", id)
			}
			if !tt.left {
				x.clean(t, 0)
			}
		})
	}
	t.Run("an archive that lacks the WAL", func(t *testing.T) {
		x := newSite(t)
		x.s.info.ArchiveMode, x.s.info.ArchiveCommand = "on", "x"
		_, err := x.run(t, smallPacks(func(o *Options) { o.WAL = "archive" }))
		var archive *ArchiveError
		if id := x.resumable(t, repo.TypeFull); !errors.As(err, &archive) || id == "" {
			t.Errorf("%v; left: %q", err, id)
		}
	})
	t.Run("a refusal after an interruption", func(t *testing.T) {
		x := newSite(t)
		x.interrupt(t, nil, nil)
		if id := x.interrupt(t, errPlanted, nil); id != "" {
			t.Errorf("left: %q", id)
		}
		x.clean(t, 0)
	})
}

// Whichever operation of the repository fails when a backup goes on: it fails, or is right, and so is the next.
func TestRunGoesOnStoreFaults(t *testing.T) {
	for i := int64(1); ; i++ {
		x := newSite(t)
		x.interrupt(t, nil, nil)
		x.change(t)
		x.left.Store(i)
		_, err := x.run(t, smallPacks(nil))
		x.left.Store(0)
		if x.hit.Load() != (err != nil) {
			t.Fatalf("operation %d: error %v", i, err)
		}
		m := x.must(t, smallPacks(nil))
		if d := cmp.Diff(readTree(t, x.root), x.tree(t, m)); d != "" {
			t.Fatalf("operation %d: restored files (-want +got):\n%s", i, d)
		}
		if !x.hit.Load() {
			t.Logf("%d places failed", i-1)
			return
		}
	}
}
