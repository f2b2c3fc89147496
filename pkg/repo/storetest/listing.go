package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/repo"
)

// A listing has every object below the prefix once, with its size, sorted by bytes.
func listings(t *testing.T, open func() repo.Store) {
	st := open()
	objects := []string{
		"cluster.json", "backups/B/manifest.json", "backups/B/000001.pack", "backups/A/manifest.json", "backups/A/wal/X",
		"backups-old/x", "backup", "wal/00000001/F", "wal/00000001.history",
	}
	for i, name := range objects {
		put(t, st, name, make([]byte, i*10))
	}
	sorted := slices.Sorted(slices.Values(objects))
	for _, test := range []struct {
		prefix    string
		recursive bool
		want      []string
	}{
		{"", true, sorted},
		{"", false, []string{"backup", "backups-old/", "backups/", "cluster.json", "wal/"}},
		{"backups/", true, []string{"A/manifest.json", "A/wal/X", "B/000001.pack", "B/manifest.json"}},
		{"backups/", false, []string{"A/", "B/"}},
		{"backups/A/", false, []string{"manifest.json", "wal/"}},
		{"wal/", false, []string{"00000001.history", "00000001/"}},
		{"wal/00000001/", true, []string{"F"}},
		{"nothing/", true, []string{}},
		{"cluster.json/", true, []string{}},
		{"nothing/at/all/", false, []string{}},
	} {
		if d := cmp.Diff(test.want, list(t, open(), test.prefix, test.recursive)); d != "" {
			t.Errorf("list %q, recursive %v (-want +got):\n%s", test.prefix, test.recursive, d)
		}
	}
	found, err := st.List(t.Context(), "", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range found {
		if size := int64(slices.Index(objects, o.Name) * 10); o.Size != size {
			t.Errorf("%s: listed with %d bytes, want %d", o.Name, o.Size, size)
		}
	}
}

// A listing is complete beyond the thousand that object stores give at a time.
func largeListing(t *testing.T, open func() repo.Store) {
	st := open()
	want := make([]string, 1234)
	var g errgroup.Group
	g.SetLimit(32)
	for i := range want {
		want[i] = fmt.Sprintf("many/%02d/%04d", i%7, i)
		g.Go(func() error {
			w, err := st.Create(t.Context(), want[i])
			if err != nil {
				return err
			}
			return w.Commit(t.Context())
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if d := cmp.Diff(want, list(t, open(), "", true)); d != "" {
		t.Error(d)
	}
	for i := range want {
		want[i] = strings.TrimPrefix(want[i], "many/")
	}
	if d := cmp.Diff(want, list(t, open(), "many/", true)); d != "" {
		t.Error(d)
	}
	later, ok := open().(repo.LaterLister)
	if !ok {
		return
	}
	for _, from := range []int{0, 1, 600, len(want) - 1, len(want)} {
		after := ""
		if from > 0 {
			after = want[from-1]
		}
		found, err := later.ListAfter(t.Context(), "many/", after)
		if err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, o := range found {
			names = append(names, o.Name)
		}
		if d := cmp.Diff(want[from:], names); d != "" {
			t.Errorf("behind %q: %s", after, d)
		}
	}
	if found, err := later.ListAfter(t.Context(), "many/", "03/zzzz"); err != nil || found[0].Name[:3] != "04/" {
		t.Errorf("behind a name that is not there: %v, %v", found, err)
	}
}

// What is deleted is gone for everybody and its name is free; what was not there is no error.
func deletion(t *testing.T, open func() repo.Store) {
	st := open()
	if err := st.Delete(t.Context()); err != nil {
		t.Fatalf("delete nothing: %v", err)
	}
	if err := st.Delete(t.Context(), "never/was", "there"); err != nil {
		t.Fatalf("delete what is not there: %v", err)
	}
	for _, name := range []string{"a/1", "a/2", "a/b/3", "c/4"} {
		put(t, st, name, []byte(name))
	}
	if err := st.Delete(t.Context(), "a/1", "a/b/3", "a/missing"); err != nil {
		t.Fatal(err)
	}
	wantAbsent(t, open(), "a/1")
	if d := cmp.Diff([]string{"a/2", "c/4"}, list(t, open(), "", true)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"2"}, list(t, open(), "a/", false)); d != "" {
		t.Errorf("an empty directory shows: %s", d)
	}
	if err := open().Delete(t.Context(), "a/2"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"c/"}, list(t, st, "", false)); d != "" {
		t.Errorf("an empty directory shows: %s", d)
	}
	put(t, st, "a/b/3", []byte("again"))
	want(t, open(), "a/b/3", []byte("again"))
}
