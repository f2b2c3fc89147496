package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// buildProgram builds the binary, which the demo runs as other processes.
func buildProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(pgtest.TempDir(t), "pgincr")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// verifyGone fails unless the demo left its directory for temporary files as it was, and no process that uses it.
func verifyGone(t *testing.T, tmp string) {
	t.Helper()
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if line, err := os.ReadFile(p); err == nil && bytes.Contains(line, []byte(tmp)) {
			t.Errorf("still running: %q", line)
		}
	}
}

// The demo does the main job from end to end, says what it does, and leaves nothing behind.
func TestDemo(t *testing.T) {
	install := pgtest.Newest(t)
	tmp := pgtest.TempDir(t)
	c := exec.Command(buildProgram(t), "demo", "--bindir", install.BinDir, "--scale", "1")
	c.Env = append(os.Environ(), "TMPDIR="+tmp, "PGHOST=/nowhere", "PGINCR_REPO=/nowhere")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, want := range []string{
		"$ initdb ", "$ pg_ctl ", "$ pgbench ", "$ pgincr init\n", "$ pgincr backup ", "page map  wal\n", "page map  lsn\n",
		"$ pgincr list\n", "$ pgincr restore -D restored\n", "holds exactly what the original holds",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	verifyGone(t, tmp)
}

// An interrupted demo fails, and leaves nothing behind either.
func TestDemoInterrupted(t *testing.T) {
	install := pgtest.Newest(t)
	tmp := pgtest.TempDir(t)
	c := pgtest.Command(t.Context(), buildProgram(t), "demo", "--bindir", install.BinDir, "--scale", "1")
	c.Env = append(c.Environ(), "TMPDIR="+tmp)
	c.Stderr = io.Discard
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(stdout)
	for s.Scan() {
		if strings.HasPrefix(s.Text(), "$ pgincr backup") {
			break
		}
	}
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for s.Scan() {
		if strings.Contains(s.Text(), "holds exactly") {
			t.Error("it went on to the end")
		}
	}
	if err := c.Wait(); c.ProcessState.ExitCode() != exitFailed {
		t.Errorf("exit %d: %v", c.ProcessState.ExitCode(), err)
	}
	verifyGone(t, tmp)
}

// Without PostgreSQL the demo says what is missing where, and how to get it.
func TestDemoWithoutPostgres(t *testing.T) {
	r := runHere(t, "demo", "--bindir", t.TempDir())
	if r.code != exitFailed || !strings.Contains(r.stderr, "has no postgres") ||
		!strings.Contains(r.stderr, "hint: install") {
		t.Errorf("%+v", r)
	}
}

// Versions as postgres --version prints them.
func TestParseMajor(t *testing.T) {
	for version, want := range map[string]int{
		"(PostgreSQL) 17.10 (Debian 17.10-1)": 17, "(PostgreSQL) 18beta1": 18, "(PostgreSQL) 13": 13,
	} {
		if got, err := parseMajor(version); got != want || err != nil {
			t.Errorf("%s: %d, %v", version, got, err)
		}
	}
	if _, err := parseMajor("MariaDB"); err == nil {
		t.Error("not a version")
	}
}
