package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

func TestRunFull(t *testing.T) {
	// The manifest says all that a restore and a later backup need to know.
	x := newSite(t)
	want := readTree(t, x.root)
	m := x.must(t, func(o *Options) { o.Annotations = map[string]string{"k": "v"} })
	if x.s.running {
		t.Error("backup mode is on")
	}
	if diff := cmp.Diff(want, x.tree(t, m)); diff != "" {
		t.Errorf("restored files (-want +got):\n%s", diff)
	}
	loaded, err := x.c.Backup(t.Context(), "latest")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(loaded, m); diff != "" {
		t.Errorf("manifest as stored and as returned:\n%s", diff)
	}
	type facts struct {
		Type, Parent, Mode, K          string
		Timeline                       pg.TimelineID
		Start, Stop                    pg.LSN
		Blocks, Stored, Files, Corrupt int
	}
	got := facts{
		m.Type, m.Parent, m.WAL.Mode, m.Annotations["k"], m.Timeline, m.StartLSN, m.StopLSN,
		int(m.BlocksTotal), int(m.BlocksStored), int(m.FilesTotal), len(m.CorruptPages),
	}
	wantFacts := facts{
		repo.TypeFull, "", repo.WALCarried, "v", 1, testStart, testStop, 10, 7, len(want) + 1, 0,
	}
	if got != wantFacts {
		t.Errorf("%+v\nwant %+v", got, wantFacts)
	}
}

func TestRunCarriesWAL(t *testing.T) {
	// Carried segments hold what was flushed, and zeros behind it.
	x := newSite(t)
	m := x.must(t, nil)
	r, err := x.c.OpenBackup(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if len(m.WAL.Segments) != 1 {
		t.Fatalf("segments %v", m.WAL.Segments)
	}
	wal, err := r.OpenWAL(t.Context(), m.WAL.Segments[0])
	if err != nil {
		t.Fatal(err)
	}
	defer wal.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(wal); err != nil {
		t.Fatal(err)
	}
	if b.Len() != int(testGeometry.WALSegmentSize) || b.Bytes()[b.Len()-1] != 0 || b.Bytes()[8+2] != 0x50 {
		t.Errorf("%d bytes, ending in %x", b.Len(), b.Bytes()[b.Len()-1])
	}
}

func TestRunIncremental(t *testing.T) {
	// An incremental gives today's content back by every scan, and stores little of it.
	for _, pageMap := range []string{MapLSN, MapHash, MapAuto} {
		t.Run(pageMap, func(t *testing.T) {
			x := newSite(t)
			full := x.must(t, nil)
			x.s.advance(t, x.root, 0x700028, 0x7F0100)
			// Changed, truncated and grown again with zero pages, new, gone, and times that lie.
			name := filepath.Join(x.root, "base/5/16384")
			write(t, x.root, "base/5/16384", pages(testPage(0x200000, 0, 0), testPage(0x600000, 'n', 1),
				zeroPage(), zeroPage()))
			write(t, x.root, "base/5/16390", testPage(0x650000, 'n', 0))
			if err := errors.Join(os.Remove(filepath.Join(x.root, "base/5/16386")),
				os.Chtimes(name, time.Unix(1, 0), time.Unix(1, 0))); err != nil {
				t.Fatal(err)
			}
			want := readTree(t, x.root)
			m := x.must(t, incremental(pageMap))
			if diff := cmp.Diff(want, x.tree(t, m)); diff != "" {
				t.Errorf("restored files (-want +got):\n%s", diff)
			}
			source := pageMap
			if pageMap == MapAuto {
				source = MapLSN
			}
			if m.Type != repo.TypeIncremental || m.Parent != full.ID || m.PageMap.Source != source ||
				(pageMap == MapAuto) != (m.PageMap.FallbackReason != "") {
				t.Errorf("%s on %q by %+v", m.Type, m.Parent, m.PageMap)
			}
			if m.BlocksStored != 2 {
				t.Errorf("%d blocks stored", m.BlocksStored)
			}
		})
	}
}

func TestRunUnreadableWAL(t *testing.T) {
	// A file in pg_wal that cannot be read, and that nothing needs, is a warning.
	x := newSite(t)
	x.must(t, nil)
	x.s.advance(t, x.root, 0x700028, 0x7F0100)
	x.s.hook = func(method string) error {
		if method == "HoldWAL" {
			return errors.New("no slot")
		}
		return nil
	}
	next := filepath.Join(x.root, "pg_wal", testGeometry.WALFileName(1, 8))
	if err := os.Symlink(next, next); err != nil {
		t.Fatal(err)
	}
	m := x.must(t, incremental(MapLSN))
	if m.Type != repo.TypeIncremental || len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], next) {
		t.Errorf("%s, warnings %q", m.Type, m.Warnings)
	}
}

func TestRunIncompleteSource(t *testing.T) {
	// A source that was named and is not complete is an error, and nothing is stored.
	x := newSite(t)
	x.must(t, nil)
	x.s.advance(t, x.root, 0x700028, 0x7F0100)
	for _, pageMap := range []string{MapWAL, MapSummaries, MapCross} {
		_, err := x.run(t, incremental(pageMap))
		var source *SourceError
		if !errors.As(err, &source) || source.Source != pageMap {
			t.Errorf("%s: %v", pageMap, err)
		}
	}
	x.clean(t, 1)
}

// clean checks that n backups are listed, and that no failed one left anything on server or store.
func (x *site) clean(t *testing.T, n int) {
	t.Helper()
	if x.s.running {
		t.Error("backup mode is still on")
	}
	list, err := x.c.Backups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != n {
		t.Errorf("%d backups listed, want %d", len(list), n)
	}
	objects, err := x.store.List(t.Context(), "main/backups/", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		known := false
		for _, m := range list {
			known = known || strings.HasPrefix(o.Name, m.ID+"/")
		}
		if !known {
			t.Errorf("left behind: %s", o.Name)
		}
	}
}

func TestRunStoreFaults(t *testing.T) {
	// Whichever operation of the repository fails: the result is an error, backup mode ends, and no
	// half backup is left. The next backup works.
	x := newSite(t)
	x.must(t, nil)
	x.s.advance(t, x.root, 0x700028, 0x7F0100)
	write(t, x.root, "base/5/16384", testPage(0x600000, 'n', 0))
	for i := int64(1); ; i++ {
		x.left.Store(i)
		x.hit.Store(false)
		m, err := x.run(t, incremental(MapLSN))
		x.left.Store(0)
		if !x.hit.Load() {
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d places failed", i-1)
			x.clean(t, 2)
			if m.Type != repo.TypeIncremental {
				t.Errorf("%s: %s", m.Type, m.FullReason)
			}
			return
		}
		if !errors.Is(err, errPlanted) {
			t.Fatalf("operation %d: error %v, manifest %v", i, err, m)
		}
		x.clean(t, 1)
		if t.Failed() {
			t.Fatalf("operation %d", i)
		}
	}
}

func TestRunServerFaults(t *testing.T) {
	// Whichever call of the server fails, or is cancelled: backup mode ends and nothing is left.
	for _, method := range []string{"StartBackup", "StopBackup", "FlushLSN", "LastArchived"} {
		for _, cancelled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", method, cancelled), func(t *testing.T) {
				x := newSite(t)
				x.s.info.ArchiveMode, x.s.info.ArchiveCommand = "on", "x"
				ctx, cancel := context.WithCancelCause(t.Context())
				x.s.hook = func(m string) error {
					if m != method {
						return nil
					}
					if cancelled {
						cancel(errPlanted)
						return nil
					}
					return errPlanted
				}
				_, err := Run(ctx, x.s, x.c, x.o)
				if err == nil || (!cancelled && !errors.Is(err, errPlanted)) {
					t.Errorf("error %v", err)
				}
				x.clean(t, 0)
				x.s.hook = nil
				x.must(t, nil) // the lock is free, too
			})
		}
	}
}

// A copy that would take years ends when the session is lost.
func TestRunSessionLost(t *testing.T) {
	x := newSite(t)
	x.o.RateLimit, x.o.aliveEvery = 1, time.Millisecond
	asked := 0
	x.s.hook = func(method string) error {
		if method != "Alive" {
			return nil
		}
		if asked++; asked < 3 {
			return nil
		}
		return server.ErrSessionLost
	}
	if _, err := Run(t.Context(), x.s, x.c, x.o); !errors.Is(err, server.ErrSessionLost) {
		t.Errorf("error %v", err)
	}
	if x.s.aborted != 1 {
		t.Errorf("backup mode was ended %d times", x.s.aborted)
	}
	x.clean(t, 0)
}

func TestRunForeignDirectory(t *testing.T) {
	// A directory that is not the connected server's is refused before anything is begun.
	tests := map[string]func(x *site){
		"system identifier": func(x *site) { x.s.info.SystemIdentifier++ },
		"port":              func(x *site) { x.s.info.Port = 5433 },
		"start time":        func(x *site) { x.s.info.PostmasterStart = time.Unix(1_700_000_200, 0) },
		"no server":         func(x *site) { _ = os.Remove(filepath.Join(x.root, "postmaster.pid")) },
		"version":           func(x *site) { x.s.info.Version = 160010 },
		"checkpoint":        func(x *site) { x.s.start += 0x100000 },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			x := newSite(t)
			change(x)
			_, err := x.run(t, nil)
			var foreign *ForeignDirectoryError
			if !errors.As(err, &foreign) {
				t.Errorf("%v", err)
			}
			x.clean(t, 0)
		})
	}
	x := newSite(t)
	x.c.Info.SystemIdentifier++
	var id *repo.SystemIdentifierError
	if _, err := x.run(t, nil); !errors.As(err, &id) {
		t.Errorf("another cluster's entry: %v", err)
	}
}

func TestRunNames(t *testing.T) {
	// Backups within one second have different names, and a clock that stands still does not matter.
	x := newSite(t)
	now := time.Date(2026, 11, 23, 8, 38, 10, 0, time.UTC)
	x.o.Clock = func() time.Time { return now }
	a, b := x.must(t, nil), x.must(t, nil)
	if a.ID != "20261123T083810Z-F" || b.ID != "20261123T083811Z-F" {
		t.Errorf("%s, %s", a.ID, b.ID)
	}
}

func TestRunLocked(t *testing.T) {
	// Two backups of one cluster do not run at the same time.
	x := newSite(t)
	unlock, err := x.c.Lock(t.Context(), "backup")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unlock() }()
	if _, err := x.run(t, nil); !errors.Is(err, repo.ErrLocked) {
		t.Error(err)
	}
}

func TestRunFuturePage(t *testing.T) {
	// A page from behind the end of WAL is reported, stored as it was, and taken again the next time.
	x := newSite(t)
	write(t, x.root, "base/5/16385", testPage(0xFFFF_0000_0000, 'x', 0))
	m := x.must(t, nil)
	if len(m.CorruptPages) != 1 || m.CorruptPages[0].Path != "base/5/16385" {
		t.Fatalf("%+v", m.CorruptPages)
	}
	x.s.advance(t, x.root, 0x700028, 0x7F0100)
	write(t, x.root, "base/5/16385", testPage(0x100000, 'r', 0)) // repaired, with an old LSN
	m = x.must(t, incremental(MapLSN))
	if got := x.tree(t, m)["base/5/16385"]; got != string(testPage(0x100000, 'r', 0)) {
		t.Error("the repaired page is not in the backup")
	}
	if len(m.CorruptPages) != 0 {
		t.Errorf("%+v", m.CorruptPages)
	}
}
