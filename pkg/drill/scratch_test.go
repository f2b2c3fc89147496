package drill

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
)

// must fails the test for an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A drill takes an empty directory, which stays, or makes one, which goes; one that another drill has it leaves alone.
func TestScratch(t *testing.T) {
	dir := t.TempDir()
	for name, there := range map[string]bool{"empty": true, "new": false} {
		path := filepath.Join(dir, name)
		if there {
			must(t, os.Mkdir(path, 0o700))
		}
		s, err := newScratch(path, slog.New(slog.DiscardHandler))
		must(t, err)
		var full *ScratchError
		if _, err := newScratch(path, slog.New(slog.DiscardHandler)); !errors.As(err, &full) || full.Found != lockName {
			t.Errorf("%s: taken twice: %v", name, err)
		}
		must(t, os.MkdirAll(filepath.Join(s.data(), "base", "1"), 0o700))
		must(t, s.remove())
		found, err := os.ReadDir(path)
		if (err == nil) != there || len(found) > 0 {
			t.Errorf("%s: left %v, %v", name, found, err)
		}
	}
	nowhere := filepath.Join(dir, "no", "such", "place")
	if _, err := newScratch(nowhere, slog.New(slog.DiscardHandler)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("made below nothing: %v", err)
	}
}

// Where the directory has too long a name for a socket, sockets are elsewhere, and go as well.
func TestScratchSockets(t *testing.T) {
	t.Setenv("TMPDIR", "/tmp")
	s, err := newScratch(filepath.Join(t.TempDir(), strings.Repeat("x", maxSocketDir)), slog.New(slog.DiscardHandler))
	must(t, err)
	sockets := s.socketDir()
	if len(sockets) > maxSocketDir || sockets == s.dir {
		t.Errorf("sockets in %s", sockets)
	}
	must(t, s.remove())
	if _, err := os.Stat(sockets); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", sockets, err)
	}

	long := filepath.Join(t.TempDir(), strings.Repeat("y", maxSocketDir))
	must(t, os.Mkdir(long, 0o700))
	t.Setenv("TMPDIR", long)
	if _, err := newScratch("", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a socket's name is too long, and nobody says so")
	}
	if found, err := os.ReadDir(long); err != nil || len(found) > 0 {
		t.Errorf("left %v, %v", found, err)
	}
}

// Recovery ended on the timeline before the one that the promotion began.
func TestParentTimeline(t *testing.T) {
	s := &scratch{dir: t.TempDir()}
	history := filepath.Join(s.data(), "pg_wal", pg.HistoryFileName(3))
	must(t, os.MkdirAll(filepath.Dir(history), 0o700))
	for _, tt := range []struct {
		history   string
		lsn       pg.LSN
		want      pg.TimelineID
		corrupted bool
	}{
		{"", 0x3000000, 3, false}, // no promotion
		{"1\t0/2000100\tno recovery target specified\n2\t0/3000000\tat end\n", 0x3000000, 2, false},
		{"1\t0/2000100\tno recovery target specified\n2\t0/3000000\tat end\n", 0x3000028, 3, false},
		{"nonsense\n", 0x3000000, 0, true},
	} {
		if tt.history != "" {
			must(t, os.WriteFile(history, []byte(tt.history), 0o600))
		}
		if got, err := s.parent(3, tt.lsn); got != tt.want || (err != nil) != tt.corrupted {
			t.Errorf("%q at %s: timeline %d, %v", tt.history, tt.lsn, got, err)
		}
	}
}

// What a killed drill has left goes, from wherever it is, unless somebody else's file is in it; what lives, what is
// left for somebody and what is not a drill's stays.
func TestLeftovers(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	log := slog.New(slog.DiscardHandler)
	killed := func(dir string) string {
		s, err := newScratch(dir, log)
		must(t, err)
		must(t, os.MkdirAll(filepath.Join(s.data(), "base"), 0o700))
		must(t, s.lock.Release()) // as at its death
		return s.dir
	}
	there := func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	}
	kept, err := newScratch("", log)
	must(t, err)
	must(t, kept.leave())
	alive, err := newScratch("", log)
	must(t, err)
	other := filepath.Join(tmp, tempDirPattern+"other")
	must(t, os.Mkdir(other, 0o700))
	dead := killed("")
	mine := killed("")
	must(t, os.WriteFile(filepath.Join(mine, "mine"), nil, 0o600))
	made, empty := killed(filepath.Join(t.TempDir(), "made")), killed(t.TempDir())

	removeLeftovers(log)
	for path, want := range map[string]bool{
		kept.path(accessName): true, alive.path(accessName): true, other: true, dead: false,
		filepath.Join(mine, dataName): true, filepath.Join(mine, lockName): true, made: true,
	} {
		if there(path) != want {
			t.Errorf("%s: there: %v", path, !want)
		}
	}
	for _, dir := range []string{made, empty} { // is named again
		s, err := newScratch(dir, log)
		must(t, err)
		if s.made != (dir == made) {
			t.Errorf("%s: made: %v", dir, s.made)
		}
		must(t, s.remove())
	}
	var foreign *ScratchError
	if _, err := newScratch(mine, log); !errors.As(err, &foreign) || foreign.Found != "mine" {
		t.Errorf("somebody's file is in it: %v", err)
	}
	must(t, alive.remove())
}

// What others may have put where a drill's directory would be, and what is behind a link, is no drill's: no
// process that works there is ended.
func TestLeftoversOfOthers(t *testing.T) {
	tmp, server := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", tmp)
	cmd := exec.CommandContext(t.Context(), "sleep", "300")
	cmd.Dir = server
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	must(t, os.WriteFile(filepath.Join(server, "postmaster.pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600))
	plant := func(name string, mode os.FileMode) string {
		dir := filepath.Join(tmp, tempDirPattern+name)
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.Symlink(server, filepath.Join(dir, dataName)))
		must(t, os.WriteFile(filepath.Join(dir, lockName), []byte("1 made"), 0o600))
		must(t, os.Chmod(dir, mode))
		return dir
	}
	open, link := plant("open", 0o777), plant("link", 0o700)
	must(t, os.Symlink(plant("linked", 0o777), filepath.Join(tmp, tempDirPattern+"to")))
	foreign := plant("foreign", 0o700)
	if os.Geteuid() == 0 {
		must(t, os.Chown(foreign, 65534, 65534))
	}

	removeLeftovers(slog.New(slog.DiscardHandler))
	for path, want := range map[string]bool{open: true, link: false, foreign: os.Geteuid() == 0} {
		if _, err := os.Lstat(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := os.Stat(filepath.Join(server, "postmaster.pid")); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		t.Errorf("somebody else's server was ended: %v", err)
	default:
		must(t, cmd.Process.Kill())
		<-ended
	}
}
