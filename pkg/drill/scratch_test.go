package drill

import (
	"errors"
	"os"
	"path/filepath"
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
		s, err := newScratch(path)
		must(t, err)
		var full *ScratchError
		if _, err := newScratch(path); !errors.As(err, &full) || full.Found != accessName {
			t.Errorf("%s: taken twice: %v", name, err)
		}
		must(t, os.MkdirAll(filepath.Join(s.data(), "base", "1"), 0o700))
		must(t, s.remove())
		found, err := os.ReadDir(path)
		if (err == nil) != there || len(found) > 0 {
			t.Errorf("%s: left %v, %v", name, found, err)
		}
	}
	if _, err := newScratch(filepath.Join(dir, "no", "such", "place")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("made below nothing: %v", err)
	}
}

// Where the directory has too long a name for a socket, sockets are elsewhere, and go as well.
func TestScratchSockets(t *testing.T) {
	t.Setenv("TMPDIR", "/tmp")
	s, err := newScratch(filepath.Join(t.TempDir(), strings.Repeat("x", maxSocketDir)))
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
	if _, err := newScratch(""); err == nil {
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
