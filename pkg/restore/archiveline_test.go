package restore_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

// The archive goes on where a backup stops that carries its WAL, or what it has under those names is of
// another line, and then none of it is used. A real server's segments are what is compared.
func TestCarriedAndArchived(t *testing.T) {
	w := newWorld(t, pgtest.Newest(t))
	w.pg.Exec(`CREATE TABLE t AS SELECT generate_series(1, 1000) id`)
	m := w.backup(w.pg, false)
	w.pg.Exec(`INSERT INTO t SELECT generate_series(1, 1000)`)
	// No page map is made over this, but the WAL follows as any.
	w.pg.Exec(`ALTER SYSTEM SET full_page_writes = off`)
	w.pg.Reload()
	w.pg.Exec(`CHECKPOINT`)
	w.switchWAL(w.pg)
	g := m.Geometry
	last := g.WALFileName(1, g.SegmentOf(m.StopLSN-1))
	next := g.WALFileName(1, g.SegmentOf(m.StopLSN-1)+1)
	content := map[string][]byte{}
	for _, name := range []string{last, next} {
		content[name] = w.archived(name)
	}
	offset := int(m.StopLSN-1) % int(g.WALSegmentSize)
	flipped := func(name string, at int) []byte {
		b := bytes.Clone(content[name])
		b[at] ^= 1
		return b
	}
	for _, tt := range []struct {
		name       string
		last, next []byte // nil: not archived
		why        string // "": the archive is used
		signal     string
	}{
		{"both", content[last], content[next], "", "recovery.signal"},
		{"only the next one", nil, content[next], "", "recovery.signal"},
		{"neither", nil, nil, "", ""},
		{"another last one", flipped(last, offset), content[next], last + " in the archive is not the one", ""},
		{"other WAL behind the stop position", flipped(last, offset+1), content[next], "", "recovery.signal"},
		{"another next one", nil, content[last], next + " in the archive does not follow", ""},
		{"a next one that is damaged", nil, flipped(next, 100), next + " in the archive does not follow", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := *w
			w.t = t
			w.replace(last, tt.last)
			w.replace(next, tt.next)
			o := w.options()
			o.DryRun = true
			res, err := restore.Run(t.Context(), w.cluster, m, o)
			must(t, err)
			warned := strings.Join(res.Warnings, "; ")
			if (tt.why == "") != (warned == "") || !strings.Contains(warned, tt.why) {
				t.Errorf("warnings %q, want %q", warned, tt.why)
			}
			if res.Recovery.Signal != tt.signal {
				t.Errorf("signal %q, want %q", res.Recovery.Signal, tt.signal)
			}
		})
	}
	t.Run("damaged next object", func(t *testing.T) {
		w := *w
		w.t = t
		w.replace(last, nil)
		w.replace(next, content[next])
		b, err := os.ReadFile(w.object(next))
		must(t, err)
		b[len(b)/2] ^= 1
		must(t, os.WriteFile(w.object(next), b, 0o600))
		o := w.options()
		o.DryRun = true
		if res, err := restore.Run(t.Context(), w.cluster, m, o); !errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("%v, warnings %q", err, res.Warnings)
		}
	})
	t.Run("damaged object", func(t *testing.T) {
		w := *w
		w.t = t
		w.replace(last, content[last])
		path := w.object(last)
		b, err := os.ReadFile(path)
		must(t, err)
		for i := 200; i < len(b); i += 100 { // what is read is only the beginning
			b[i] ^= 1
		}
		must(t, os.WriteFile(path, b, 0o600))
		o := w.options()
		o.DryRun = true
		if _, err := restore.Run(t.Context(), w.cluster, m, o); !errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("the end of damaged WAL: %v", err)
		}
		o.Immediate = true
		res, err := restore.Run(t.Context(), w.cluster, m, o)
		must(t, err)
		if len(res.Warnings) != 1 {
			t.Errorf("to the backup's own end: warnings %q", res.Warnings)
		}
	})
}

// A backup that relies on the archive is not restored with WAL that another server wrote there.
func TestArchivedByAnother(t *testing.T) {
	w := newWorld(t, pgtest.Newest(t))
	w.pg.Exec(`CREATE TABLE t AS SELECT generate_series(1, 1000) id`)
	ended := make(chan struct{})
	var m *repo.Manifest
	go func() {
		defer close(ended)
		m = w.backupBy(w.pg, false, "archive")
	}()
	w.pg.Poll("the backup", func() bool {
		w.push()
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	if m == nil {
		t.Fatal("no backup")
	}
	g := m.Geometry
	last := g.WALFileName(1, g.SegmentOf(m.StopLSN-1))
	content := w.archived(last)
	at := int(m.StopLSN-1) % int(g.WALSegmentSize)
	for _, tt := range []struct {
		name    string
		at      int
		foreign bool // WAL is got from elsewhere
		refused bool
	}{
		{"as it was", -1, false, false},
		{"other WAL before the end", at, false, true},
		{"other WAL behind the end", at + 1, false, false},
		{"the archive is not asked", at, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := *w
			w.t = t
			b := bytes.Clone(content)
			if tt.at >= 0 {
				b[tt.at] ^= 1
			}
			w.replace(last, b)
			o := w.options()
			o.DryRun, o.ForeignWAL = true, tt.foreign
			_, err := restore.Run(t.Context(), w.cluster, m, o)
			var line *restore.LineError
			if errors.As(err, &line) != tt.refused || (err != nil) != tt.refused {
				t.Errorf("%v, want a refusal: %v", err, tt.refused)
			}
		})
	}
}

// object gives the file of an archived segment in the repository.
func (w *world) object(name string) string {
	return filepath.Join(w.repoDir, "main", "wal", name[:8], name)
}

// archived reads a segment from the repository.
func (w *world) archived(name string) []byte {
	w.t.Helper()
	r, err := w.cluster.WAL(repo.Compression{}).Open(w.t.Context(), name)
	must(w.t, err)
	b, err := io.ReadAll(r)
	must(w.t, err, r.Close())
	return b
}

// replace puts other content, or none, under the name of an archived segment.
func (w *world) replace(name string, content []byte) {
	w.t.Helper()
	if err := os.Remove(w.object(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	if content != nil {
		z := repo.Compression{Codec: repo.CodecZstd}
		must(w.t, w.cluster.WAL(z).Put(w.t.Context(), name, bytes.NewReader(content)))
	}
}
