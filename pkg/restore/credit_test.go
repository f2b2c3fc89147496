package restore

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// An in-place restore asks for no room where it writes over what is there, and
// for all of it where it makes files anew, as it does with WAL.
func TestSpaceInPlace(t *testing.T) {
	fb := newFab(t, nil)
	fb.frame = func() int { return 16 }
	pages := make([]uint64, 1024) // 1 MiB
	for i := range pages {
		pages[i] = uint64(i + 1)
	}
	at := time.Unix(7, 0).UTC()
	m := fb.add(model{
		"PG_VERSION":          {mode: 0o600, mtime: at, data: []byte("15\n")},
		"base/1/16384":        {mode: 0o600, mtime: at, pages: pages},
		"base/1/16385":        {mode: 0o600, mtime: at, pages: pages},
		fabSpace + "/1/16500": {mode: 0o600, mtime: at, pages: pages},
	})
	dir := filepath.Join(pgtest.TempDir(t), "data")
	o := Options{Target: dir, Jobs: 2, TablespaceMap: map[string]string{fb.space: dir + "-space"}}
	_, err := Run(t.Context(), fb.cluster, m, o)
	must(t, err)
	relation := filepath.Join(dir, "base/1/16384")
	for _, step := range []struct {
		name   string
		change func() error
		space  string // of the tablespace, if it moves
		kib    int64
	}{
		{"equal", func() error { return nil }, "", 0},
		{"one file has two names", func() error { return os.Link(relation, dir+"-link") }, "", 1024},
		{"one file shorter", func() error {
			return os.Truncate(filepath.Join(dir, "base/1/16385"), 512<<10)
		}, "", 1536},
		{"one file missing", func() error { return os.Remove(filepath.Join(dir, "base/1/16385")) }, "", 2048},
		{"tablespace elsewhere", func() error { return nil }, dir + "-elsewhere", 3072},
	} {
		must(t, step.change())
		o := Options{Target: dir, Jobs: 1, Delta: true, DryRun: true}
		if step.space != "" {
			o.TablespaceMap = map[string]string{fb.space: step.space}
		}
		res, err := Run(t.Context(), fb.cluster, m, o)
		must(t, err)
		if len(res.Plan.Space) != 1 {
			t.Fatalf("%s: %v", step.name, res.Plan.Space)
		}
		// Whatever small files there are, they fit into 256 KiB.
		wal := int64(len(res.Plan.WALFiles)) * int64(fabGeometry().WALSegmentSize) // always anew
		need := res.Plan.Space[0].NeedBytes - spareBytes - wal
		want := step.kib << 10
		if need < want || need >= want+256<<10 {
			t.Errorf("%s: %d bytes needed, want about %d", step.name, need, want)
		}
	}
}
