package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// newRepository makes a repository with an entry main.
func newRepository(t *testing.T) (string, *repo.Cluster) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo")
	st, err := repo.OpenStore(t.Context(), dir)
	must(t, err)
	info := repo.ClusterInfo{Name: "main", SystemIdentifier: 7, PGVersion: 150018, Geometry: pg.DefaultGeometry()}
	c, _, err := repo.Init(t.Context(), st, info)
	must(t, err)
	return dir, c
}

// hang makes whoever opens the entry of a repository wait, as a mount does whose server is gone, until the test ends.
func hang(t *testing.T, dir string) {
	t.Helper()
	entry := filepath.Join(dir, "main", "cluster.json")
	must(t, os.Remove(entry))
	must(t, syscall.Mkfifo(entry, 0o600))
	t.Cleanup(func() {
		f, err := os.OpenFile(entry, os.O_RDWR, 0)
		must(t, err)
		must(t, f.Close())
	})
}

// historyFile makes one beside nothing else, and a name for a copy.
func historyFile(t *testing.T) (path, copied string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "00000002.history")
	must(t, os.WriteFile(path, []byte("1\t0/3000000\tno reason\n"), 0o600))
	return path, path + ".copy"
}

// A repository that hangs holds up neither a file that the next one has nor an interruption.
func TestLocateWhereOneHangs(t *testing.T) {
	t.Parallel()
	path, copied := historyFile(t)
	hanging, _ := newRepository(t)
	hang(t, hanging)
	good, _ := newRepository(t)
	wants(t, 0, []string{"archive-push", "-R", good, path})
	wants(t, 0, []string{"archive-get", "-R", hanging, "-R", good, "00000002.history", copied})
	p := newProgram(os.Stderr, os.Stderr)
	p.common = &commonFlags{Cluster: "main"}
	planted := errors.New("planted")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(planted) })
	if have, _, err := p.locate(ctx, []string{hanging}, "00000002.history"); have != nil || !errors.Is(err, planted) {
		t.Errorf("interrupted: %v, %v", have, err)
	}
}

// An archive-push that is interrupted when the first repository has the file has failed: the others lack it.
func TestPushInterruptedBetween(t *testing.T) {
	t.Parallel()
	path, _ := historyFile(t)
	first, a := newRepository(t)
	second, b := newRepository(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := newProgram(os.Stderr, os.Stderr)
	p.clock = func() time.Time {
		if has, err := a.WAL(repo.Compression{}).Has(t.Context(), "00000002.history"); has || err != nil {
			cancel()
		}
		return time.Now()
	}
	err := p.do(ctx, []string{"archive-push", "-R", first, "-R", second, path})
	if code := exitCode(err, false); code != exitFailed {
		t.Errorf("exit %d: %v", code, err)
	}
	if _, _, err := b.WAL(repo.Compression{}).Sum(t.Context(), "00000002.history"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the second has it: %v", err)
	}
}

// Of a segment that no repository has whole, the one that has received most of it is asked. One that is damaged is
// read where it is that one, and only there.
func TestLongestPart(t *testing.T) {
	t.Parallel()
	const segment = "000000010000000000000007"
	var args []string
	for n, received := range []int{10_000, 90_000, 50_000} {
		dir, c := newRepository(t)
		part := repo.Part{Segment: segment, End: uint32(received)}
		content := bytes.NewReader(bytes.Repeat([]byte{byte(n + 1)}, received))
		must(t, c.WAL(repo.Compression{}).PutPart(t.Context(), part, content))
		if n == 2 {
			files, err := filepath.Glob(filepath.Join(dir, "main/parts/*/*"))
			must(t, err)
			must(t, os.Truncate(files[0], 300))
		}
		args = append(args, "-R", dir)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	wants(t, 0, append(append([]string{"archive-get"}, args...), segment, copied))
	b, err := os.ReadFile(copied)
	must(t, err)
	want := append(bytes.Repeat([]byte{2}, 90_000), make([]byte, 16<<20-90_000)...)
	if !bytes.Equal(b, want) {
		t.Errorf("%d bytes that begin with %d", len(b), b[0])
	}
	wants(t, exitArchiveError, append(append([]string{"archive-get"}, args[4:]...), segment, copied))
}
