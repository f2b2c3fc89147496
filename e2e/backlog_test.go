package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

var backlogLine = regexp.MustCompile(`archived files that waited" waiting=\d+ archived=(\d+) unmapped=0`)

// What piled up while archiving failed is stored by the first calls, with all workers: the
// server asks for files that are there already. Pushes by other processes at the same time hinder nobody.
func TestBacklogDrains(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		repo, tools := pgtest.TempDir(t), pgtest.TempDir(t)
		gate, calls := filepath.Join(tools, "open"), filepath.Join(tools, "calls")
		script := fmt.Sprintf("test -e %[1]s && exec %[2]s archive-push -R %[3]s %%p 2>>%[4]s", gate, pgincr, repo, calls)
		s := siteOf(t, install.New(t, pgtest.WALSegmentSize(1), pgtest.Setting("archive_mode", "on"),
			pgtest.Setting("archive_command", script)), repo)
		s.pg.Exec("CREATE TABLE t AS SELECT g FROM generate_series(1, 5000) g")
		for range 70 {
			s.pg.Exec("INSERT INTO t SELECT g FROM generate_series(1, 100) g")
			s.pg.SwitchWAL()
		}
		last := s.pg.SwitchWAL()
		waiting := readyNames(t, s.pg)
		if len(waiting) < 70 {
			t.Fatalf("only %d files wait", len(waiting))
		}
		// Two of them are pushed by somebody else, too.
		var others sync.WaitGroup
		var theirs [2]string
		for i, name := range waiting[3:5] {
			others.Go(func() {
				theirs[i] = s.ok("archive-push", filepath.Join(s.pg.DataDir, "pg_wal", name)).stderr
			})
		}
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s.pg.Poll("the backlog to drain", func() bool {
			return s.pg.Query1("SELECT last_archived_wal >= '"+last+"' FROM pg_stat_archiver") == "t"
		})
		others.Wait()
		said, err := os.ReadFile(calls)
		if err != nil {
			t.Fatal(err)
		}
		early := 0
		for _, m := range backlogLine.FindAllStringSubmatch(string(said)+theirs[0]+theirs[1], -1) {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			early += n
		}
		if early < len(waiting)*8/10 {
			t.Errorf("of %d files only %d were stored ahead of being asked for\n%s", len(waiting), early, said)
		}
		// Every segment is there with its map, and reads back as it was.
		if o := s.ok("pagemap", "build", "--json"); !strings.Contains(o.stdout, `"made": 0`) {
			t.Errorf("maps were lacking: %s", o.stdout)
		}
		got := filepath.Join(tools, "got")
		for _, name := range waiting {
			s.ok("archive-get", name, got)
		}
	})
}

// readyNames gives what waits for the archiver, sorted.
func readyNames(t *testing.T, c *pgtest.Cluster) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(c.DataDir, "pg_wal", "archive_status"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".ready"); ok {
			names = append(names, name)
		}
	}
	return names
}
