package storetest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/pgincr/pgincr/pkg/repo"
)

// NewSpace makes an empty space for objects that goes away with the test, and gives a
// function that opens it. Each call of that stands for another process or host.
type NewSpace func(t *testing.T) (open func() repo.Store)

// Run tries every promise of repo.Store, each on a space of its own.
func Run(t *testing.T, space NewSpace) {
	tests := []struct {
		name string
		run  func(t *testing.T, open func() repo.Store)
	}{
		{"an object appears whole with its commit", commitPublishes},
		{"what is aborted was never there", abortLeavesNothing},
		{"a name is given once", createOnly},
		{"of many writers of a name one wins", createRace},
		{"objects of any size", sizes},
		{"random access", randomAccess},
		{"what is not there", absent},
		{"cancelled writes leave nothing", cancelled},
		{"names that not every store can have are refused", badNames},
		{"listings", listings},
		{"listing of a large space", largeListing},
		{"deletion", deletion},
		{"locks", locks},
		{"a lock frees its name", lockRace},
		{"locks that are held are listed", heldLocks},
		{"of two locks one sees the other", locksAreSeen},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, space(t)) })
	}
}

// put stores an object.
func put(t *testing.T, st repo.Store, name string, data []byte) {
	t.Helper()
	w, err := st.Create(t.Context(), name)
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	if n, err := w.Write(data); err != nil || n != len(data) {
		t.Fatalf("write %s: %d bytes, %v", name, n, err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatalf("commit %s: %v", name, err)
	}
	if err := w.Abort(); err != nil {
		t.Fatalf("abort after the commit of %s: %v", name, err)
	}
}

// get reads an object whole.
func get(t *testing.T, st repo.Store, name string) []byte {
	t.Helper()
	o, err := st.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	data, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()+1))
	if err := errors.Join(err, o.Close()); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	if size, err := st.Stat(t.Context(), name); err != nil || size != o.Size() || size != int64(len(data)) {
		t.Fatalf("%s: %d bytes, size when opened %d, by Stat %d, %v", name, len(data), o.Size(), size, err)
	}
	return data
}

// want fails unless the object holds data.
func want(t *testing.T, st repo.Store, name string, data []byte) {
	t.Helper()
	if got := get(t, st, name); !bytes.Equal(got, data) {
		t.Fatalf("%s: has %d bytes that are not the %d that were stored", name, len(got), len(data))
	}
}

// wantAbsent fails if the object is to be seen in any way.
func wantAbsent(t *testing.T, st repo.Store, name string) {
	t.Helper()
	if _, err := st.Open(t.Context(), name); !errors.Is(err, repo.ErrNotFound) {
		t.Fatalf("open %s: %v, want ErrNotFound", name, err)
	}
	if _, err := st.Stat(t.Context(), name); !errors.Is(err, repo.ErrNotFound) {
		t.Fatalf("stat %s: %v, want ErrNotFound", name, err)
	}
	for _, o := range list(t, st, "", true) {
		if o == name {
			t.Fatalf("%s is listed", name)
		}
	}
}

// list gives the names of a listing.
func list(t *testing.T, st repo.Store, prefix string, recursive bool) []string {
	t.Helper()
	found, err := st.List(t.Context(), prefix, recursive)
	if err != nil {
		t.Fatalf("list %q: %v", prefix, err)
	}
	names := make([]string, len(found))
	for i, o := range found {
		names[i] = o.Name
	}
	return names
}
