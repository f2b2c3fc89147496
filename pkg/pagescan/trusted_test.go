package pagescan

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/repo"
)

var (
	parentStarted = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	dayLater      = parentStarted.Add(24 * time.Hour)
)

func at(before time.Duration) int64 { return parentStarted.Add(-before).UnixNano() }

// quiet is a file last written an hour before the parent's start.
func quiet() Written {
	return Written{
		Identity: repo.Identity{
			Device: 8, Inode: 77,
			BirthTime: at(9 * time.Hour), ModTime: at(time.Hour), ChangeTime: at(time.Hour),
		},
		Size: 81920,
	}
}

// A file is trusted only when it is the recorded one and all its times lie well before the
// parent's start. Each row breaks one part of the proof.
func TestTrusted(t *testing.T) {
	with := func(change func(*Written)) Written {
		w := quiet()
		change(&w)
		return w
	}
	both := func(change func(*Written)) [2]Written { return [2]Written{with(change), with(change)} }
	now := func(change func(*Written)) [2]Written { return [2]Written{quiet(), with(change)} }

	for _, c := range []struct {
		name  string
		files [2]Written // recorded, current
		want  bool
	}{
		{"untouched", [2]Written{quiet(), quiet()}, true},
		{"written since", now(func(w *Written) { w.ModTime = at(-time.Hour); w.ChangeTime = w.ModTime }), false},
		{"written since, modification time put back", now(func(w *Written) { w.ChangeTime = at(-time.Hour) }), false},
		{"written since by a clock set back to before the parent", now(func(w *Written) {
			w.ModTime = at(2 * time.Hour)
			w.ChangeTime = w.ModTime
		}), false},
		{"copied over, times preserved", now(func(w *Written) {
			w.Inode = 78
			w.BirthTime = at(-time.Hour)
			w.ChangeTime = w.BirthTime
		}), false},
		{"inode used again", now(func(w *Written) { w.BirthTime++ }), false},
		{"other file system", now(func(w *Written) { w.Device = 9 }), false},
		{"longer", now(func(w *Written) { w.Size += 8192 }), false},
		{"shorter", now(func(w *Written) { w.Size -= 8192 }), false},
		{"renamed or linked since", now(func(w *Written) { w.ChangeTime = at(-time.Hour) }), false},
		{"written while the parent ran", both(func(w *Written) {
			w.ModTime = at(-time.Minute)
			w.ChangeTime = w.ModTime
		}), false},
		{"written at the parent's start", both(func(w *Written) { w.ModTime = at(0); w.ChangeTime = w.ModTime }), false},
		{"written within the margin, which a time in whole seconds may hide", both(func(w *Written) {
			w.ModTime = at(2 * time.Second)
			w.ChangeTime = w.ModTime
		}), false},
		{"written just before the margin", both(func(w *Written) {
			w.ModTime = at(TrustMargin + 1)
			w.ChangeTime = w.ModTime
		}), true},
		{"modification time old, change time not", both(func(w *Written) { w.ChangeTime = at(-time.Hour) }), false},
		{"change time old, modification time not", both(func(w *Written) { w.ModTime = at(-time.Hour) }), false},
		{"times in the future", both(func(w *Written) { w.ModTime = at(-48 * time.Hour); w.ChangeTime = w.ModTime }), false},
		{"made after the parent's start", both(func(w *Written) { w.BirthTime = at(-time.Hour) }), false},
		{"file system without birth times", both(func(w *Written) { w.BirthTime = 0 }), false},
		{"file system without change times", both(func(w *Written) { w.ChangeTime = 0 }), false},
		{"nothing recorded", [2]Written{{}, quiet()}, false},
		{"nothing known", [2]Written{}, false},
	} {
		if got := Trusted(dayLater, parentStarted, c.files[0], c.files[1]); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if Trusted(parentStarted.Add(-time.Second), parentStarted, quiet(), quiet()) {
		t.Error("trusted by a clock that now reads earlier than the parent's start")
	}
}

// A file goes on being the recorded one when it was left alone or written to, and is another one when
// anything else happened to it.
func TestContinued(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*repo.Identity)
		want   bool
	}{
		{"untouched", func(*repo.Identity) {}, true},
		{"written", func(i *repo.Identity) { i.ModTime, i.ChangeTime = at(-time.Hour), at(-time.Hour) }, true},
		{"L12 made anew", func(i *repo.Identity) { i.Inode, i.BirthTime = 78, at(-time.Hour) }, false},
		{"L15 its inode number given out again", func(i *repo.Identity) { i.BirthTime = at(-time.Hour) }, false},
		{"on another device", func(i *repo.Identity) { i.Device = 9 }, false},
		{"no birth times", func(i *repo.Identity) { i.BirthTime = 0 }, false},
		{"L28 older content copied into it, with its time", func(i *repo.Identity) {
			i.ModTime, i.ChangeTime = at(2*time.Hour), at(-time.Hour)
		}, false},
		{"L28 content copied into it, its time kept", func(i *repo.Identity) { i.ChangeTime = at(-time.Hour) }, false},
		{"L28 newer content copied into it, with its time", func(i *repo.Identity) {
			i.ModTime, i.ChangeTime = at(-time.Hour), at(-2*time.Hour)
		}, false},
		{"L28 rolled back to a snapshot", func(i *repo.Identity) {
			i.ModTime, i.ChangeTime = at(2*time.Hour), at(2*time.Hour)
		}, false},
		{"written by a clock set back", func(i *repo.Identity) {
			i.ModTime, i.ChangeTime = at(time.Hour+1), at(time.Hour+1)
		}, false},
	} {
		current := quiet().Identity
		c.change(&current)
		if got := Continued(quiet().Identity, current); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	none := repo.Identity{Device: 1, Inode: 2}
	if Continued(none, none) {
		t.Error("two files without birth times are taken for the same")
	}
}

// No history of writes, whatever the clock does, makes a file trusted that was written after the
// parent looked at it, as long as the clock does not show the very same instant again.
func TestTrustedNeverLosesAWrite(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		minutes := func(label string) time.Duration {
			return time.Duration(rapid.IntRange(-3000, 3000).Draw(rt, label)) * time.Second
		}
		clock := parentStarted.Add(minutes("first clock")) // may have been wrong then
		file := Written{Identity: repo.Identity{Device: 1, Inode: 2, BirthTime: clock.UnixNano()}, Size: 8192}
		seen := map[int64]bool{}
		write := func(label string) {
			clock = clock.Add(minutes(label)) // passing, or set
			for seen[clock.UnixNano()] {
				clock = clock.Add(4 * time.Millisecond) // the kernel's tick
			}
			seen[clock.UnixNano()] = true
			file.ModTime, file.ChangeTime = clock.UnixNano(), clock.UnixNano()
		}
		for range rapid.IntRange(1, 4).Draw(rt, "writes before") {
			write("step before")
		}
		recorded := file
		written := rapid.IntRange(0, 3).Draw(rt, "writes since")
		for range written {
			write("step since")
		}
		if written > 0 && Trusted(clock.Add(minutes("now")), parentStarted, recorded, file) {
			rt.Fatalf("trusted, but written since: %+v, %+v", recorded, file)
		}
	})
}

// What is trusted at one margin before the parent's start is trusted for every later parent, and
// whatever is trusted was recorded.
func FuzzTrusted(f *testing.F) {
	f.Add(int64(1), int64(2), int64(3), int64(4), int64(8192), int64(8192), false)
	f.Add(parentStarted.UnixNano(), at(9*time.Hour), at(time.Hour), at(time.Hour), int64(0), int64(0), true)
	f.Fuzz(func(t *testing.T, started, birth, change, mod, size1, size2 int64, same bool) {
		if started > 1<<62 || started < -(1<<62) {
			return // outside what a clock can show
		}
		recorded := Written{
			Identity: repo.Identity{Device: 1, Inode: 2, BirthTime: birth, ChangeTime: change, ModTime: mod},
			Size:     size1,
		}
		current := recorded
		current.Size = size2
		if !same {
			current.ModTime ^= size1
		}
		start := time.Unix(0, started)
		trusted := Trusted(start, start, recorded, current)
		if trusted && recorded != current {
			t.Error("trusted what was not recorded")
		}
		if trusted && (mod >= started || change >= started) {
			t.Error("trusted what was written after the parent's start")
		}
		later := start.Add(time.Hour)
		if trusted && !Trusted(later, later, recorded, current) {
			t.Error("trusted for an earlier parent, not for a later one")
		}
	})
}

// A clock that is set between two readings is found out; one that is slewed is not.
func TestClockStepped(t *testing.T) {
	for _, c := range []struct {
		wall, steady time.Duration
		want         bool
	}{
		{time.Hour, time.Hour, false},
		{time.Hour + 2*time.Second, time.Hour, false}, // slewed by 0.05 %
		{time.Hour + time.Minute, time.Hour, true},
		{-time.Second, time.Second, true},
		{0, 0, false},
	} {
		if got := stepped(c.wall, c.steady); got != c.want {
			t.Errorf("wall clock %v, steady %v: %v", c.wall, c.steady, got)
		}
	}
	from := time.Now()
	if ClockStepped(from, time.Now()) {
		t.Error("a clock that was left alone is said to be set")
	}
}

// Identify tells when a file was made and written, and that another file under
// its name is another file, also one with all times preserved.
func TestIdentify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "16384")
	write := func() {
		if err := os.WriteFile(path, make([]byte, 8192), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	identify := func() Written {
		t.Helper()
		byPath, err := IdentifyPath(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if byFile, err := Identify(f); err != nil || byFile != byPath {
			t.Errorf("by file %+v (%v), by path %+v", byFile, err, byPath)
		}
		return byPath
	}
	write()
	first := identify()
	if first.Inode == 0 || first.ModTime == 0 || first.ChangeTime == 0 || first.Size != 8192 {
		t.Errorf("incomplete: %+v", first)
	}
	if identify() != first {
		t.Error("looking at a file changes what it is")
	}

	// A copy that preserves the times takes its place.
	if err := os.WriteFile(path+".new", make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path+".new", time.Unix(0, first.ModTime), time.Unix(0, first.ModTime)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	second := identify()
	if second.ModTime != first.ModTime {
		t.Fatal("the modification time was not preserved")
	}
	if second == first || second.Identity == first.Identity {
		t.Error("another file has the same identity")
	}

	if err := os.Symlink(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	if link, err := IdentifyPath(path + ".link"); err == nil && link.Inode == second.Inode {
		t.Error("a symbolic link was followed")
	}
	if _, err := IdentifyPath(path + ".none"); err == nil {
		t.Error("a file that is not there was described")
	}
}
