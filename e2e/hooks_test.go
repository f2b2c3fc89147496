package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// Hooks learn what came of a command, one that fails before keeps it from running, and metrics are written
// whatever came of it.
func TestHooksAndMetrics(t *testing.T) {
	t.Parallel()
	s := newLonelySite(t, pgtest.Newest(t))
	dir := pgtest.TempDir(t)
	seen, prom := filepath.Join(dir, "seen"), filepath.Join(dir, "main.prom")
	after := "env > " + seen + "; cat " + seen
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	wants := func(text string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("no %s in\n%s", line, text)
			}
		}
	}
	b := s.full("--metrics-file", prom, "--hook-after", after, "--hook-before", "true")
	wants(read(seen), "PGINCR_HOOK=after", "PGINCR_COMMAND=backup", "PGINCR_EXIT_CODE=0", "PGINCR_RESULT_BACKUP="+b.ID,
		"PGINCR_ERROR=", "PGINCR_CLUSTER=main", "PGINCR_REPO="+s.repo)
	wants(read(prom), `pgincr_run_exit_code{cluster="main",command="backup"} 0`, `pgincr_chain_length{cluster="main"} 1`,
		`pgincr_backups{cluster="main",status="ok"} 1`, `pgincr_backup_corrupt_pages{cluster="main",type="full"} 0`)

	o := s.run("backup", "-D", s.pg.DataDir, "--hook-before", "exit 7", "--hook-after", "touch "+dir+"/ran",
		"--metrics-file", prom)
	if o.code != 1 || !strings.Contains(o.stderr, "hook-before: exit status 7") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	wants(read(prom), `pgincr_run_exit_code{cluster="main",command="backup"} 1`)
	if _, err := os.Stat(dir + "/ran"); err == nil {
		t.Error("a hook ran after a command that did not")
	}
	if got := s.list(); len(got) != 1 {
		t.Errorf("%d backups", len(got))
	}
	o = s.run("backup", "-D", dir, "--hook-after", after, "--metrics-file", prom)
	if o.code != 1 {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	wants(read(seen), "PGINCR_EXIT_CODE=1")
	wants(read(prom), `pgincr_run_exit_code{cluster="main",command="backup"} 1`, `pgincr_chain_length{cluster="main"} 1`)
	if strings.Contains(read(seen), "PGINCR_ERROR=\n") {
		t.Errorf("no word of the error in\n%s", read(seen))
	}
	// A pgincr that a hook runs has no hooks, and the end of a hook is told.
	o = s.run("verify", "-q", "--hook-after", pgincr+" verify -q --hook-before false && exit 9")
	if o.code != 3 || !strings.Contains(o.stderr, "verify is done, but hook-after: exit status 9") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	o = s.run("verify", "-q", "--metrics-file", filepath.Join(dir, "no", "main.prom"))
	if o.code != 3 || !strings.Contains(o.stderr, "verify is done, but metrics: ") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	s.ok("check", "-q", "--metrics-file", prom)
	wants(read(prom), `pgincr_check_status{cluster="main",check="backups"} 0`,
		`pgincr_check_status{cluster="main",check="archive-mode"} 1`,
		`pgincr_run_exit_code{cluster="main",command="backup"} 1`)
}
