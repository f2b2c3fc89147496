package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// maxMemory is what a command may take at two jobs, whatever it works on.
const maxMemory = 256 << 20

// scaled is something that can be made larger.
type scaled struct {
	name string
	// small is its size in every run, full that of make scale. The first measurement is at a quarter of it.
	small, full int
	// judged is from which size on a command takes long enough for its growth to tell something.
	judged int
	// grow makes a site's thing reach a size. It is called with the smaller one first.
	grow func(s *site, size int)
	// commands are measured at each size, by what they are called.
	commands func(s *site) map[string]func() cost
}

// usual are the commands that everything is measured with.
func usual(s *site) map[string]func() cost {
	dir := filepath.Join(pgtest.TempDir(s.t), "data")
	return map[string]func() cost{
		"full":        func() cost { return s.measured("backup", "-D", s.pg.DataDir, "-c", "fast") },
		"incremental": func() cost { return s.measured("backup", "-D", s.pg.DataDir, "-c", "fast", "--incremental") },
		"list":        func() cost { return s.measured("list") },
		"plan":        func() cost { return s.measured("restore", "-D", dir, "--dry-run") },
		"expire":      func() cost { return s.measured("expire", "--keep-full", "1", "--dry-run") },
	}
}

// order is in which commands are measured.
func order() []string { return []string{"full", "incremental", "list", "plan", "expire"} }

// Four times as much takes at most five times as long, and no more memory than is promised: a million small files,
// a hundred thousand tables, a relation of 1 TB, a chain of 200, 100,000 archived segments. PGINCR_SCALE is the part of
// that to play, such as 0.1. Unset, all are so small that they take seconds, and only memory is judged.
func TestScale(t *testing.T) {
	part := 0.0
	if text := os.Getenv("PGINCR_SCALE"); text != "" {
		var err error
		if part, err = strconv.ParseFloat(text, 64); err != nil || part <= 0 {
			t.Fatalf("PGINCR_SCALE: %q", text)
		}
	} else {
		t.Parallel() // make scale measures one thing at a time
	}
	for _, sc := range []scaled{
		{"files", 400, 1_000_000, 10_000, smallFiles, usual},
		{"tables", 40, 100_000, 1000, manySmallTables, usual},
		{"segment files of a sparse relation", 4, 1024, 16, sparseRelation, usual},
		{"links", 8, 200, 16, longChain, func(s *site) map[string]func() cost {
			all := usual(s)
			delete(all, "full")
			return all
		}},
		{"archived segments", 400, 100_000, 1000, archivedSegments, usual},
	} {
		t.Run(strings.ReplaceAll(sc.name, " ", "-"), func(t *testing.T) {
			size := int(float64(sc.full) * part)
			if part == 0 {
				t.Parallel()
				size = sc.small
			}
			if size < 4 {
				t.Fatalf("PGINCR_SCALE: %v of %d %s has no quarter", part, sc.full, sc.name)
			}
			s := newLonelySite(t, pgtest.Newest(t), pgtest.Setting("max_locks_per_transaction", "1024"))
			s.scales(sc, size)
		})
	}
}

// scales measures at a quarter of a size, and at the size.
func (s *site) scales(sc scaled, size int) {
	s.t.Helper()
	if size < sc.judged {
		s.t.Logf("%d %s: memory is judged, growth is not; it is from %d on", size, sc.name, sc.judged)
	}
	commands := sc.commands(s)
	before := map[string]cost{}
	for _, n := range []int{size / 4, size} {
		sc.grow(s, n)
		for _, name := range order() {
			run, ok := commands[name]
			if !ok {
				continue
			}
			c := run()
			s.t.Logf("%d %s: %s takes %v of CPU, %d MiB", n, sc.name, name, c.CPU.Round(time.Millisecond), c.Memory>>20)
			if c.Memory > maxMemory {
				s.t.Errorf("%d %s: %s takes %d MiB, want at most %d", n, sc.name, name, c.Memory>>20, int64(maxMemory)>>20)
			}
			if old, ok := before[name]; ok {
				ratio := c.CPU.Seconds() / old.CPU.Seconds()
				s.t.Logf("%s: %s takes %.1f times as long for 4 times as many %s", sc.name, name, ratio, sc.name)
				if ratio > 5 && size >= sc.judged {
					s.t.Errorf("%s: %s takes %.1f times as long for 4 times as many: not linear", sc.name, name, ratio)
				}
			}
			before[name] = c
		}
	}
}

// smallFiles puts so many files of a few bytes beside the relations.
func smallFiles(s *site, size int) {
	const perDir = 10_000
	for n := 0; n < size; n++ {
		dir := filepath.Join(s.pg.DataDir, "small", strconv.Itoa(n/perDir))
		if n%perDir == 0 {
			s.must(os.MkdirAll(dir, 0o700))
		}
		path := filepath.Join(dir, strconv.Itoa(n))
		if _, err := os.Lstat(path); err != nil {
			s.must(os.WriteFile(path, []byte(path), 0o600))
		}
	}
	pgtest.Chown(s.t, filepath.Join(s.pg.DataDir, "small"))
}

func manySmallTables(s *site, size int) {
	have, err := strconv.Atoi(s.pg.Query1(`SELECT count(*) FROM pg_class WHERE relname LIKE 'many%'`))
	s.must(err)
	for ; have < size; have += 1000 {
		s.sql(fmt.Sprintf(`DO $$ BEGIN FOR i IN %d..%d LOOP
			EXECUTE 'CREATE TABLE many_' || i || ' AS SELECT 1 AS a'; END LOOP; END $$`, have+1, min(have+1000, size)))
	}
	s.pg.Checkpoint()
}

// sparseRelation gives a relation so many segments of 1 GB, all holes but for its first page.
func sparseRelation(s *site, size int) {
	if s.pg.Query1(`SELECT count(*) FROM pg_class WHERE relname = 'sparse'`) == "0" {
		s.sparseTable("sparse", segmentBlocks)
	}
	path := filepath.Join(s.pg.DataDir, s.pg.Query1(`SELECT pg_relation_filepath('sparse')`))
	s.pg.Stop(pgtest.Fast)
	s.stretch(path, int64(size)*segmentBlocks)
	s.pg.Start()
}

// longChain makes a chain of so many links, one short of it: the command that is measured adds one.
func longChain(s *site, size int) {
	if len(s.list()) == 0 {
		s.full()
	}
	for n := len(s.list()); n < size-1; n++ {
		s.incremental("auto")
	}
}

// archivedSegments gives the archive so many segments behind each other, in names: nothing that is measured reads them.
func archivedSegments(s *site, size int) {
	dir := filepath.Join(s.repo, "main", "wal", "00000001")
	content := bytes.Repeat([]byte{0}, 16)
	s.must(os.MkdirAll(dir, 0o755))
	for n := range size {
		path := filepath.Join(dir, fmt.Sprintf("00000001%08X%08X", n/256+16, n%256))
		if _, err := os.Lstat(path); err != nil {
			s.must(os.WriteFile(path, content, 0o600))
		}
	}
	pgtest.Chown(s.t, s.repo)
}
