package e2e

import (
	"maps"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// chainLength is how many backups a chain under load has, each source twice, unless PGINCR_CHAIN says otherwise.
const chainLength = 6

// Scenario 32: every link of a chain, taken while pgbench and DDL
// run and alternating the page map's source, restores, new and in place over the link before it, to a cluster in which
// pgbench's sums are equal and every judge of PostgreSQL's finds nothing.
func TestChainUnderLoad(t *testing.T) {
	length := chainLength
	if text := os.Getenv("PGINCR_CHAIN"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("PGINCR_CHAIN: %q", text)
		}
		length = n
	}
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		plays(t, install, widely(install.Major), "32")
		opts := []pgtest.Option{
			pgtest.Setting("shared_buffers", "16MB"),
			pgtest.Setting("autovacuum", "on"), pgtest.Setting("autovacuum_naptime", "1s"),
		}
		sources := []string{"wal", "hash", "lsn"}
		if wide() {
			sources = widely(install.Major)
			if install.Major >= 17 {
				opts = append(opts, pgtest.Setting("summarize_wal", "on"))
			}
		}
		s := newSite(t, install, opts...)
		s.pg.Tool("pgbench", "-i", "-s", "5", "-q", "postgres")
		stop, stopDDL := s.load(), s.churn()
		chain := []backup{s.full()}
		for i := range length - 1 {
			b := s.incremental(sources[i%len(sources)])
			if b.Parent != chain[i].ID {
				t.Fatalf("parent of %s is %s, want %s", b.ID, b.Parent, chain[i].ID)
			}
			chain = append(chain, b)
			s.pg.Checkpoint()
		}
		stop()
		stopDDL()
		s.pg.SwitchWAL()
		inPlace := s.restore(chain[len(chain)-1].ID)
		for _, b := range chain {
			t.Run(b.ID+"-"+b.PageMap.Source, func(t *testing.T) {
				s := s.in(t)
				immediate := []string{"--target", "immediate", "--target-action", "promote"}
				dir := s.restore(b.ID, immediate...)
				install.VerifyBackup(t, dir, "-n")
				files := s.hashes(dir)
				s.ok(append([]string{"restore", b.ID, "-D", inPlace, "--delta"}, immediate...)...)
				install.VerifyBackup(t, inPlace, "-n")
				if !maps.Equal(files, s.hashes(inPlace)) {
					t.Error("in place it restores to other files")
				}
				got := s.open(dir)
				checkPgbench(t, got)
				got.Amcheck()
				got.Visibility()
				got.Stop(pgtest.Fast)
				install.Checksums(t, dir)
			})
		}
	})
}

// churn makes, rewrites, cuts and drops relations in the background until stop is called.
func (s *site) churn() (stop func()) {
	s.t.Helper()
	session := s.pg.Connect("postgres")
	ended, done := make(chan struct{}), make(chan error, 1)
	go func() {
		defer session.Close()
		for {
			for _, statement := range []string{
				`CREATE TABLE churn AS SELECT i AS id, repeat('c', 300) AS pad FROM generate_series(1, 2000) i`,
				`CREATE INDEX ON churn (id)`, `DELETE FROM churn WHERE id > 500`, `VACUUM churn`,
				`INSERT INTO churn SELECT i, 'again' FROM generate_series(3001, 4000) i`, `CLUSTER churn USING churn_id_idx`,
				`TRUNCATE churn`, `INSERT INTO churn SELECT i, 'last' FROM generate_series(1, 700) i`, `REINDEX TABLE churn`,
				`VACUUM FULL churn`, `DROP TABLE churn`,
			} {
				select {
				case <-ended:
					done <- nil
					return
				default:
				}
				if _, err := session.Try(statement); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	return func() {
		s.t.Helper()
		close(ended)
		if err := <-done; err != nil {
			s.t.Errorf("DDL under way: %v", err)
		}
	}
}

// checkPgbench compares the sums that every pgbench transaction changes alike.
func checkPgbench(t *testing.T, cl *pgtest.Cluster) {
	t.Helper()
	row := cl.Rows(`SELECT (SELECT sum(abalance) FROM pgbench_accounts),
		(SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(bbalance) FROM pgbench_branches),
		(SELECT coalesce(sum(delta), 0) FROM pgbench_history)`)[0]
	for _, sum := range row[1:] {
		if sum != row[0] {
			t.Fatalf("pgbench's sums differ: %v", row)
		}
	}
	if n := cl.Query1("SELECT count(*) FROM pgbench_accounts"); n != "500000" {
		t.Fatalf("pgbench_accounts has %s rows, want 500000", n)
	}
}

// load runs pgbench in the background until stop is called, and fails the test
// if pgbench saw an error.
func (s *site) load() (stop func()) {
	s.t.Helper()
	path, ok := s.pg.Install.Tool("pgbench")
	if !ok {
		s.t.Fatal("pgbench is not installed")
	}
	cmd := pgtest.Command(s.t.Context(), path, "-c", "2", "-R", "300", "-T", strconv.Itoa(3600), "-n", "postgres")
	cmd.Env = append(cmd.Env, s.pg.Env()...)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	s.pg.Poll("pgbench's first transaction", func() bool {
		return s.pg.Query1("SELECT count(*) > 0 FROM pgbench_history") == "t"
	})
	return func() {
		s.t.Helper()
		select {
		case err := <-done:
			s.t.Fatalf("pgbench ended early: %v", err)
		default:
		}
		_ = exec.Command("kill", "-INT", strconv.Itoa(cmd.Process.Pid)).Run()
		<-done
	}
}
