package wal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
)

// longWALWithDir gives WAL in an archive and once more in a pg_wal.
func longWALWithDir(t *testing.T, segments int) (w *walWriter, req MapRequest) {
	t.Helper()
	w, from, to := longWAL(t, segments)
	req = w.request(from, to)
	req.Dir = w.archive().dir
	return w, req
}

// change changes one byte in the middle of a file.
func change(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// An archive is tied to a server by the oldest and the newest segment that both have.
func TestTied(t *testing.T) {
	w, req := longWALWithDir(t, 14)
	archive := req.Archive.(*dirArchive).dir
	name := func(n pg.SegNo) string { return w.g.WALFileName(1, n) }
	remove := func(dir string, segments ...pg.SegNo) {
		for _, n := range segments {
			if err := os.Remove(filepath.Join(dir, name(n))); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := func(what string, want Tie) {
		t.Helper()
		got, err := Tied(t.Context(), req)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", what, got, err, want)
		}
	}
	first, last := w.g.SegmentOf(req.From), w.g.SegmentOf(req.To)
	want("all in both", Tie{Compared: 2})
	remove(req.Dir, first)
	change(t, req.Dir, name(first+2)) // between, and not looked at
	want("pg_wal begins later", Tie{Compared: 2})
	remove(archive, last, last-1)
	want("archive is behind", Tie{Compared: 2})
	remove(req.Dir, first+2) // what lies before is cut off
	remove(archive, first+3)
	want("pg_wal begins where the archive has a gap", Tie{Compared: 2})
	change(t, req.Dir, name(last-2))
	want("newest differs", Tie{Foreign: name(last - 2), Compared: 1})
	for n := first + 4; n <= last-2; n++ {
		remove(archive, n)
	}
	want("nothing in common", Tie{Behind: name(first + 3)})
	remove(req.Dir, last-1)
	remove(req.Dir, last)
	want("pg_wal is empty", Tie{})
}

// A sum is of the bytes before a position, whatever file of the history has them, and of nothing else.
func TestSum(t *testing.T) {
	w, req := longWALWithDir(t, 4)
	first := w.g.SegmentOf(req.From)
	from, to := w.g.SegmentStart(first), w.g.SegmentStart(first+1)+0x4000
	sum := func(h pg.History) uint64 {
		t.Helper()
		n, err := Sum(t.Context(), w.g, h, from, to, InDir(req.Dir))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	one := pg.History{Timeline: 1}
	want := sum(one)
	path := func(tli pg.TimelineID, n pg.SegNo) string { return filepath.Join(req.Dir, w.g.WALFileName(tli, n)) }

	// The next timeline begins right behind the end, and only its copy of the segment is there.
	two := pg.History{Timeline: 2, Ancestors: []pg.Ancestor{{Timeline: 1, End: to}}}
	if err := os.Rename(path(1, first+1), path(2, first+1)); err != nil {
		t.Fatal(err)
	}
	change(t, req.Dir, w.g.WALFileName(2, first+1)) // behind the end
	if got := sum(two); got != want {
		t.Error("the copy of the next timeline gives another sum")
	}
	if _, err := Sum(t.Context(), w.g, one, from, to, InDir(req.Dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a segment is missing: %v", err)
	}
	change(t, req.Dir, w.g.WALFileName(1, first))
	if sum(two) == want {
		t.Error("a changed byte gives the same sum")
	}
	if err := os.Rename(path(2, first+1), path(1, first)); err != nil {
		t.Fatal(err)
	}
	if _, err := Sum(t.Context(), w.g, one, from, to, InDir(req.Dir)); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a recycled segment: %v", err)
	}
	if _, err := Sum(t.Context(), w.g, one, from+8, to, InDir(req.Dir)); err == nil {
		t.Error("a range that begins within a segment is taken")
	}
}

// What was taken hold of before counts as the server's when it has removed it, and no longer when it has written to it.
func TestTiedByHeld(t *testing.T) {
	w, req := longWALWithDir(t, 6)
	last := w.g.SegmentOf(req.To)
	path := func(n pg.SegNo) string { return filepath.Join(req.Dir, w.g.WALFileName(1, n)) }
	recycle := func(as pg.SegNo) {
		t.Helper()
		b, err := os.ReadFile(path(last - 4))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path(as), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	recycle(last + 1) // for later use: not the newest
	held, err := Hold(req.Dir, w.g, 1, req.From)
	if err != nil || len(held.files) != 2 {
		t.Fatalf("%d files are held, %v", len(held.files), err)
	}
	defer held.Close()
	if !held.has(w.g.WALFileName(1, last), last) || held.has(w.g.WALFileName(1, last+1), last+1) {
		t.Fatal("the newest segment is not held, or a recycled one is")
	}

	reuse, err := os.OpenFile(path(last), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reuse.Close()
	req.To = w.g.SegmentStart(last+1) + longHeaderSize // as after a start that has switched segments
	for n := w.g.SegmentOf(req.From); n <= last; n++ {
		if err := os.Remove(path(n)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, want Tie) {
		t.Helper()
		if got, err := Tied(t.Context(), req); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", what, got, err, want)
		}
	}
	want("not held", Tie{})
	req.Held = held
	want("held", Tie{Compared: 1})
	change(t, req.Archive.(*dirArchive).dir, w.g.WALFileName(1, last))
	want("another's", Tie{Foreign: w.g.WALFileName(1, last)})
	if _, err := reuse.WriteAt(make([]byte, 40), 0); err != nil {
		t.Fatal(err)
	}
	want("written to", Tie{})
}

// Where nothing is, nothing is held.
func TestHoldNothing(t *testing.T) {
	held, err := Hold(t.TempDir(), pg.DefaultGeometry(), 1, 0x1000000)
	if err != nil || len(held.files) > 0 {
		t.Errorf("%d files, %v", len(held.files), err)
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
}
