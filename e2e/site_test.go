package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// site is one cluster with a repository: what an operator has.
type site struct {
	t    testing.TB
	pg   *pgtest.Cluster
	repo string
}

// backup is the JSON of a backup as docs/cli.md promises it.
type backup struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Parent   string `json:"parent"`
	Status   string `json:"status"`
	Timeline int    `json:"timeline"`
	StartLSN string `json:"start_lsn"`
	StopLSN  string `json:"stop_lsn"`
	PageMap  struct {
		Source         string `json:"source"`
		FallbackReason string `json:"fallback_reason"`
	} `json:"page_map"`
	FullReason   string `json:"full_reason"`
	BlocksTotal  int64  `json:"blocks_total"`
	BlocksStored int64  `json:"blocks_stored"`
	SizeBytes    int64  `json:"size_bytes"`
	StoredBytes  int64  `json:"stored_bytes"`
	CorruptPages []struct {
		Path  string `json:"path"`
		Block uint32 `json:"block"`
	} `json:"corrupt_pages"`
	Warnings  []string `json:"warnings"`
	TakenOver *struct {
		Frames int64 `json:"frames"`
		Bytes  int64 `json:"bytes"`
	} `json:"taken_over"`
	WAL struct {
		Mode     string   `json:"mode"`
		Segments []string `json:"segments"`
	} `json:"wal"`
}

// newSite makes a cluster that archives its WAL into a repository of its own.
func newSite(t testing.TB, install pgtest.Install, opts ...pgtest.Option) *site {
	t.Helper()
	repo := pgtest.TempDir(t)
	archive := fmt.Sprintf("%s archive-push -R %s %%p", pgincr, repo)
	opts = append([]pgtest.Option{
		pgtest.Setting("archive_mode", "on"),
		pgtest.Setting("archive_command", archive),
	}, opts...)
	return siteOf(t, install.New(t, opts...), repo)
}

// newLonelySite makes a cluster whose WAL nobody archives. It keeps enough to be known again after a restart.
func newLonelySite(t testing.TB, install pgtest.Install, opts ...pgtest.Option) *site {
	t.Helper()
	opts = append([]pgtest.Option{pgtest.Setting("wal_keep_size", "1GB")}, opts...)
	return siteOf(t, install.New(t, opts...), pgtest.TempDir(t))
}

// siteOf binds an existing cluster to a repository.
func siteOf(t testing.TB, cl *pgtest.Cluster, repo string) *site {
	t.Helper()
	s := &site{t: t, pg: cl, repo: repo}
	s.ok("init", "-D", cl.DataDir)
	return s
}

// in gives the same site, failing another test.
func (s *site) in(t testing.TB) *site {
	c := *s
	c.t, c.pg = t, s.pg.In(t)
	return &c
}

// outcome is how one run of the binary ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs the binary with the site's repository and connection.
func (s *site) run(args ...string) outcome {
	s.t.Helper()
	return s.command(args...)
}

func (s *site) command(args ...string) outcome {
	s.t.Helper()
	cmd := pgtest.Command(s.t.Context(), pgincr, args...)
	cmd.Env = append(cmd.Env, s.pg.Env()...)
	cmd.Env = append(cmd.Env, "PGINCR_REPO="+s.repo)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("%v: %v", args, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), msg.String()}
}

// ok runs the binary and fails the test unless it exits 0.
func (s *site) ok(args ...string) outcome {
	s.t.Helper()
	o := s.run(args...)
	if o.code != 0 {
		s.t.Fatalf("pgincr %v: exit %d\n%s%s", args, o.code, o.stdout, o.stderr)
	}
	return o
}

// full takes a full backup.
func (s *site) full(args ...string) backup {
	s.t.Helper()
	return s.backup(0, args...)
}

// incremental takes an incremental backup by a page map source and fails
// unless the source is what was asked for.
func (s *site) incremental(source string, args ...string) backup {
	s.t.Helper()
	b := s.backup(0, append([]string{"--incremental", "--page-map", source}, args...)...)
	if b.Type != "incremental" {
		s.t.Fatalf("backup %s is %s (%s), want incremental", b.ID, b.Type, b.FullReason)
	}
	if source != "auto" && b.PageMap.Source != source {
		s.t.Fatalf("page map source %s (%s), want %s", b.PageMap.Source,
			b.PageMap.FallbackReason, source)
	}
	return b
}

// backup runs the command and checks its exit code.
func (s *site) backup(code int, args ...string) backup {
	s.t.Helper()
	o := s.run(append([]string{"backup", "-D", s.pg.DataDir, "--checkpoint", "fast", "--json"}, args...)...)
	if o.code != code {
		s.t.Fatalf("pgincr backup %v: exit %d, want %d\n%s%s", args, o.code, code, o.stdout, o.stderr)
	}
	return decode[backup](s.t, o.stdout)
}

// restore restores a backup into a new directory and gives its path.
func (s *site) restore(id string, args ...string) string {
	s.t.Helper()
	dir := filepath.Join(pgtest.TempDir(s.t), "data")
	s.ok(append([]string{"restore", id, "-D", dir}, args...)...)
	return dir
}

// open starts a server on a restored directory and waits until it takes writes.
func (s *site) open(dir string, opts ...pgtest.Option) *pgtest.Cluster {
	s.t.Helper()
	cl := pgtest.FromDataDir(s.t, s.pg.Install, dir, opts...)
	cl.WaitRecovered()
	return cl
}

// decode reads one JSON document.
func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("not the JSON that was promised: %v\n%s", err, text)
	}
	return v
}

// sql runs statements one by one, each in a transaction of its own, in one session.
func (s *site) sql(statements ...string) {
	s.t.Helper()
	s.sqlIn("postgres", statements...)
}

// sqlIn is sql in another database.
func (s *site) sqlIn(db string, statements ...string) {
	s.t.Helper()
	session := s.pg.Connect(db)
	defer session.Close()
	for _, statement := range statements {
		session.Exec(statement)
	}
}
