package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// walDirectory makes a pg_wal of these files, all of the same content and marked as ready.
func walDirectory(t *testing.T, content []byte, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "archive_status"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for path, b := range map[string][]byte{name: content, "archive_status/" + name + ".ready": nil} {
			if err := os.WriteFile(filepath.Join(dir, path), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func segmentNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("0000000100000000%08X", i+1))
	}
	return names
}

func backlogOf(a Archive) *Backlog {
	return &Backlog{Archive: a, Jobs: 2, Max: 8, Patience: time.Minute, Verify: func(string) error { return nil }}
}

func storedNames(t *testing.T, a *dirArchive) []string {
	t.Helper()
	names, err := a.names(isArchivable)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A backlog is stored up to its bound, oldest first, history files before segments, and
// topped up only when there is work for all workers. The server's marks stay.
func TestBacklog(t *testing.T) {
	names := append(segmentNames(21), "00000002.history")
	dir := walDirectory(t, []byte("x"), names...)
	a := newDirArchive(t.TempDir())
	b := backlogOf(a)
	asked := filepath.Join(dir, names[0])
	res := b.Push(t.Context(), asked)
	want := append([]string{"00000002.history"}, names[1:8]...)
	slices.Sort(want)
	if res != (BacklogResult{Waiting: 21, Pushed: 8, Unmapped: 7}) || !slices.Equal(storedNames(t, a), want) {
		t.Fatalf("%+v, %v", res, storedNames(t, a))
	}
	// The server took two of them: not enough is lacking ahead.
	for _, name := range []string{"00000002.history", names[0]} {
		if err := os.Remove(filepath.Join(dir, "archive_status", name+".ready")); err != nil {
			t.Fatal(err)
		}
	}
	if res := b.Push(t.Context(), filepath.Join(dir, names[1])); res.Pushed != 0 || res.Err != nil {
		t.Errorf("topped up too early: %+v", res)
	}
	b.Max = 64 // nothing waits behind these: all that is lacking is stored
	if res := b.Push(t.Context(), filepath.Join(dir, names[1])); res.Pushed != 13 || res.Err != nil {
		t.Errorf("the rest: %+v", res)
	}
	marks, err := os.ReadDir(filepath.Join(dir, "archive_status"))
	if err != nil || len(marks) != 20 {
		t.Errorf("%d marks (%v)", len(marks), err)
	}
}

// While the server asks for one file again and again, all that waits behind it is stored but for less than half of Max,
// also after a push that ended early.
func TestBacklogFar(t *testing.T) {
	names := segmentNames(42)
	dir := walDirectory(t, []byte("x"), names...)
	a := newDirArchive(t.TempDir())
	b := backlogOf(a)
	b.Far = true
	for _, name := range names[1:6] { // three of the first eight are lacking
		if err := a.Put(t.Context(), name, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	for call, want := range []int{8, 8, 8, 8, 4, 0} {
		res := b.Push(t.Context(), filepath.Join(dir, names[0]))
		if res.Pushed != want || res.Err != nil {
			t.Errorf("call %d: %+v, want %d pushed", call, res, want)
		}
	}
	if got := storedNames(t, a); !slices.Equal(got, names[1:]) {
		t.Errorf("stored %v", got)
	}
	b.Archive = silentArchive{a, names[9]}
	if res := b.Push(t.Context(), filepath.Join(dir, names[0])); !errors.Is(res.Err, errSilent) {
		t.Errorf("an archive that does not answer: %+v", res)
	}
}

var errSilent = errors.New("no answer")

// silentArchive does not say whether it has a file behind others.
type silentArchive struct {
	*dirArchive
	from string
}

func (a silentArchive) Has(ctx context.Context, name string) (bool, error) {
	if name >= a.from {
		return false, errSilent
	}
	return a.dirArchive.Has(ctx, name)
}

// Who pushes a file that the server does not wait for pushes nothing else; neither does one
// outside of a pg_wal.
func TestBacklogNotAsked(t *testing.T) {
	dir := walDirectory(t, []byte("x"), segmentNames(3)...)
	a := newDirArchive(t.TempDir())
	for _, path := range []string{filepath.Join(dir, "0000000100000000000000AA"), filepath.Join(t.TempDir(), "x")} {
		if res := backlogOf(a).Push(t.Context(), path); res != (BacklogResult{}) {
			t.Errorf("%s: %+v", path, res)
		}
	}
	if got := storedNames(t, a); len(got) > 0 {
		t.Errorf("stored %v", got)
	}
}

// What fails is counted and hinders nothing else: a file that is gone, one of another
// cluster, one that the archive has with other content.
func TestBacklogFailures(t *testing.T) {
	names := segmentNames(6)
	dir := walDirectory(t, []byte("x"), names...)
	if err := os.Remove(filepath.Join(dir, names[1])); err != nil {
		t.Fatal(err)
	}
	foreign := errors.New("foreign")
	b := backlogOf(newDirArchive(t.TempDir()))
	b.Verify = func(path string) error {
		if filepath.Base(path) == names[2] {
			return foreign
		}
		return nil
	}
	res := b.Push(t.Context(), filepath.Join(dir, names[0]))
	if res.Pushed != 3 || res.Failed != 1 || !errors.Is(res.Err, foreign) {
		t.Errorf("%+v", res)
	}
	broken := errors.New("broken")
	b.Verify = func(string) error { return nil }
	b.Archive = &faultyArchive{dirArchive: newDirArchive(t.TempDir()), put: broken}
	if res := b.Push(t.Context(), filepath.Join(dir, names[0])); !errors.Is(res.Err, broken) || res.Pushed != 0 {
		t.Errorf("an archive that takes nothing: %+v", res)
	}
}

// slowArchive takes files only when it is told to, or when it is told to stop.
type slowArchive struct {
	*dirArchive
	begun atomic.Int32
}

func (a *slowArchive) Put(ctx context.Context, _ string, _ io.Reader) error {
	a.begun.Add(1)
	<-ctx.Done()
	return ctx.Err()
}

// A store that hangs holds nobody up longer than twice the patience, and cancelled pushes are no failures.
func TestBacklogPatience(t *testing.T) {
	names := segmentNames(6)
	dir := walDirectory(t, []byte("x"), names...)
	a := &slowArchive{dirArchive: newDirArchive(t.TempDir())}
	b := backlogOf(a)
	b.Patience = 10 * time.Millisecond
	if res := b.Push(t.Context(), filepath.Join(dir, names[0])); res != (BacklogResult{Waiting: 5}) {
		t.Errorf("%+v", res)
	}
	if n := a.begun.Load(); n > 2 {
		t.Errorf("%d pushes begun, after patience ended too", n)
	}
}
