package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Cluster is a database cluster: a data directory and, while it runs, a server
// on a Unix socket of its own.
type Cluster struct {
	Install   Install
	DataDir   string
	SocketDir string
	Port      int

	t testing.TB
	*shared
}

// shared is what all views (In) of one cluster have in common.
type shared struct {
	log      string            // the server's log file
	settings map[string]string // given on the server's command line
	proc     *process          // nil while stopped
}

// New makes a cluster by initdb and starts it. Its directories go when the test
// ends.
func (i Install) New(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	o := collect(opts)
	c := newCluster(t, i)
	if err := initCluster(t.Context(), i, o, c.DataDir); err != nil {
		t.Fatalf("new %s cluster: %v", i, err)
	}
	c.AppendConf(confLines(testSettings()), confLines(o.settings), strings.Join(o.conf, "\n"))
	if !o.stopped {
		c.Start()
	}
	return c
}

// FromDataDir adopts an existing data directory, a restored one usually, and
// starts it. The files of its configuration are not touched: where it listens,
// Settings, and archive_mode=off (or the copy would archive over the original)
// are given on the server's command line. Start returns when the server takes
// connections, which may be in the middle of recovery; see WaitRecovered.
func FromDataDir(t testing.TB, install Install, dir string, opts ...Option) *Cluster {
	t.Helper()
	o := collect(opts)
	if len(o.conf) > 0 {
		t.Fatal("FromDataDir takes Setting, not Conf")
	}
	c := newCluster(t, install)
	c.DataDir = dir
	Chown(t, dir)
	for _, location := range locations(t, dir) {
		Chown(t, location)
	}
	c.settings = map[string]string{
		"archive_mode": "off", "autovacuum": "off", "fsync": "off", "log_line_prefix": "%m [%p] %b ",
	}
	for name, value := range o.settings {
		c.settings[name] = value
	}
	if !o.stopped {
		c.Start()
	}
	return c
}

// locations returns the directories outside a data directory that belong to it:
// what pg_wal and the entries of pg_tblspc are links to.
func locations(t testing.TB, dir string) []string {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(dir, "pg_tblspc", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, link := range append(links, filepath.Join(dir, "pg_wal")) {
		target, err := filepath.EvalSymlinks(link)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	return targets
}

// newCluster lays out a cluster's directories, without data.
func newCluster(t testing.TB, install Install) *Cluster {
	t.Helper()
	dir := TempDir(t)
	c := &Cluster{
		Install:   install,
		DataDir:   filepath.Join(dir, "data"),
		SocketDir: filepath.Join(dir, "s"),
		Port:      5432, // only names the socket
		t:         t,
		shared:    &shared{log: filepath.Join(dir, "log")},
	}
	if err := os.Mkdir(c.SocketDir, 0o700); err != nil {
		t.Fatal(err)
	}
	Chown(t, c.SocketDir)
	t.Cleanup(c.cleanup)
	return c
}

func (c *Cluster) cleanup() {
	if c.proc != nil {
		if err := c.end(syscall.SIGQUIT); err != nil {
			c.t.Errorf("stopping %s: %v", c.Install, err)
		}
	}
	if c.t.Failed() {
		c.t.Logf("log of the %s server in %s:\n%s", c.Install, c.DataDir, tail(c.Log(), 60))
	}
}

// In returns the same cluster, failing another test: a subtest of the one that
// made it.
func (c *Cluster) In(t testing.TB) *Cluster {
	view := *c
	view.t = t
	return &view
}

// Log returns all that the server has written so far. It is printed when the
// test fails.
func (c *Cluster) Log() string {
	content, err := os.ReadFile(c.log)
	if err != nil && !os.IsNotExist(err) {
		return err.Error()
	}
	return string(content)
}

// tail returns the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// DSN returns a connection string, in libpq's keywords, which pgx takes too.
func (c *Cluster) DSN(db string) string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace
	return fmt.Sprintf("host='%s' port=%d user=postgres dbname='%s'",
		quote(c.SocketDir), c.Port, quote(db))
}

// Env returns the variables that make libpq and pgx connect to this cluster.
// PGDATA is not among them.
func (c *Cluster) Env() []string {
	return []string{
		"PGHOST=" + c.SocketDir, fmt.Sprintf("PGPORT=%d", c.Port),
		"PGUSER=postgres", "PGDATABASE=postgres",
	}
}

// Tool runs one of PostgreSQL's programs of this cluster's major with Env, and
// returns its standard output.
func (c *Cluster) Tool(name string, args ...string) string {
	c.t.Helper()
	out, err := c.TryTool(name, args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// TryTool is Tool for programs that may fail; the error has all they said.
func (c *Cluster) TryTool(name string, args ...string) (string, error) {
	path, ok := c.Install.Tool(name)
	if !ok {
		return "", fmt.Errorf("%s has no %s", c.Install, name)
	}
	ctx, cancel := withPatience()
	defer cancel()
	return runTool(ctx, c.Env(), path, args...)
}

// withPatience bounds what talks to a server. It is not the test's context,
// which has ended by the time cleanup functions run.
func withPatience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*patience)
}

// AppendConf adds lines to postgresql.conf; Reload or Restart makes them count.
func (c *Cluster) AppendConf(lines ...string) {
	c.t.Helper()
	path := filepath.Join(c.DataDir, "postgresql.conf")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	_, err = file.WriteString(strings.Join(lines, "\n") + "\n")
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		c.t.Fatal(err)
	}
}
