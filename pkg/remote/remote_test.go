package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// The contract of a store holds on any service, also while one request in five fails, half of them after
// they were carried out.
func TestConformance(t *testing.T) {
	for name, share := range map[string]float64{"reliable": 0, "unreliable": 0.2} {
		for _, ordered := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				storetest.Run(t, func(t *testing.T) func() repo.Store {
					m := newMemory()
					m.ordered = ordered
					m.unreliable(share)
					t.Cleanup(func() {
						if m.uploads != 0 && share == 0 {
							t.Errorf("%d uploads were left", m.uploads)
						}
					})
					return func() repo.Store {
						st := remote.NewStore(t.Context(), m, "pre/fix", remote.Options{})
						st.SetPause(2 * time.Millisecond)
						return st
					}
				})
			})
		}
	}
}

// put stores an object.
func put(t *testing.T, st repo.Store, name string, data []byte) error {
	t.Helper()
	w, err := st.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit(t.Context())
}

// A lost answer to the request that makes an object is no "exists", and another's object no success.
func TestLostAnswer(t *testing.T) {
	for _, size := range []int{10, remote.PartSize + 10} {
		for _, request := range []string{"put a", "complete a"} {
			m := newMemory()
			var lost atomic.Bool
			m.fail = func(r string, late bool) error {
				if late && r == request && lost.CompareAndSwap(false, true) {
					return errNetwork
				}
				return nil
			}
			st := remote.NewStore(t.Context(), m, "", remote.Options{})
			if err := put(t, st, "a", make([]byte, size)); err != nil {
				t.Errorf("%d bytes, %s: %v", size, request, err)
			}
			if err := put(t, st, "a", make([]byte, size)); !errors.Is(err, repo.ErrExists) {
				t.Errorf("%d bytes, %s: again: %v", size, request, err)
			}
			if m.uploads != 0 {
				t.Errorf("%d uploads were left", m.uploads)
			}
		}
	}
}

// What a proxy says instead of the service is not believed: that an object which was to be deleted is not there, or
// that what was sent of one which was not stored is not.
func TestProxyAnswers(t *testing.T) {
	m := newMemory()
	st := remote.NewStore(t.Context(), m, "", remote.Options{})
	if err := put(t, st, "a", []byte("a")); err != nil {
		t.Fatal(err)
	}
	m.fail = func(r string, late bool) error {
		switch {
		case !late && (strings.HasPrefix(r, "delete ") || strings.HasPrefix(r, "abort ")):
			return repo.ErrNotFound
		case r == "complete b":
			return &remote.Error{Cause: remote.Denied, Err: errors.New("not today")}
		}
		return nil
	}
	if err := st.Delete(t.Context(), "a"); err == nil || errors.Is(err, repo.ErrNotFound) || m.objects["a"].data == nil {
		t.Errorf("deleted, but not by the service: %v", err)
	}
	if err := st.Delete(t.Context(), "never"); err != nil {
		t.Errorf("deleted what is not there: %v", err)
	}
	err := put(t, st, "b", make([]byte, remote.PartSize+1))
	if !errors.Is(err, fs.ErrPermission) || errors.Is(err, repo.ErrNotFound) || !strings.Contains(err.Error(), "is left") {
		t.Errorf("not stored, and not dropped: %v", err)
	}
}

// An outage ends with an error of its own when patience does, whatever was asked for; absence is
// never concluded from it.
func TestOutage(t *testing.T) {
	m := newMemory()
	st := remote.NewStore(t.Context(), m, "", remote.Options{Patience: time.Second})
	if err := put(t, st, "a", make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	m.fail = func(string, bool) error { return errNetwork }
	for name, f := range map[string]func() error{
		"open":   func() error { _, err := st.Open(t.Context(), "a"); return err },
		"absent": func() error { _, err := st.Open(t.Context(), "b"); return err },
		"stat":   func() error { _, err := st.Stat(t.Context(), "b"); return err },
		"list":   func() error { _, err := st.List(t.Context(), "", true); return err },
		"small":  func() error { return put(t, st, "c", nil) },
		"large":  func() error { return put(t, st, "d", make([]byte, 3*remote.PartSize)) },
		"lock":   func() error { _, err := st.Lock(t.Context(), "l", ""); return err },
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			err := f()
			if !errors.Is(err, repo.ErrUnreachable) || errors.Is(err, repo.ErrNotFound) {
				t.Errorf("%v", err)
			}
			if d := time.Since(begin); d > 5*time.Second {
				t.Errorf("after %v", d)
			}
		})
	}
	// A "not found" that a listing does not confirm is none.
	m.fail = func(r string, _ bool) error {
		if strings.HasPrefix(r, "get") {
			return repo.ErrNotFound
		}
		return nil
	}
	if _, err := st.Open(t.Context(), "a"); err == nil || errors.Is(err, repo.ErrNotFound) {
		t.Errorf("a proxy's 404: %v", err)
	}
}

// The lock of an owner who died is free after its lease, by the service's clock, and not before.
func TestDeadOwner(t *testing.T) {
	m := newMemory()
	open := func() *remote.Store { return remote.NewStore(t.Context(), m, "", remote.Options{}) }
	unlock, err := open().Lock(t.Context(), "main/locks/backup", "who dies")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unlock() })
	m.advance(time.Minute)
	if _, err := open().Lock(t.Context(), "main/locks/backup", "next"); !errors.Is(err, repo.ErrLocked) {
		t.Fatalf("after a minute: %v", err)
	}
	m.advance(time.Minute)
	if held, err := open().Locks(t.Context(), "main/", nil); err != nil || len(held) != 0 {
		t.Errorf("a dead owner's lock is held: %v, %v", held, err)
	}
	next, err := open().Lock(t.Context(), "main/locks/backup", "next")
	if err != nil {
		t.Fatal(err)
	}
	if err := next(); err != nil {
		t.Error(err)
	}
}

// A lock is renewed while it is held, through failures that pass; one that was lost is told.
func TestLease(t *testing.T) {
	m := newMemory()
	st := remote.NewStore(t.Context(), m, "", remote.Options{Lease: time.Second, Patience: 10 * time.Second})
	var renewals atomic.Int64
	m.fail = func(r string, late bool) error {
		if late && strings.HasPrefix(r, "put l/") && renewals.Add(1)%2 == 1 {
			return errNetwork // carried out, and the answer lost: of the first one, which takes the lock, too
		}
		return nil
	}
	unlock, err := st.Lock(t.Context(), "l", "owner")
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); renewals.Load() < 6; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d renewals", renewals.Load())
		}
	}
	if err := unlock(); err != nil {
		t.Errorf("a lock that was held: %v", err)
	}
	if unlock, err = st.Lock(t.Context(), "l", "owner"); err != nil {
		t.Fatal(err)
	}
	if err := m.Delete(t.Context(), slicesOf(m, "l/")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	var lost *remote.LostLockError
	if err := unlock(); !errors.As(err, &lost) {
		t.Errorf("a lock that somebody removed: %v", err)
	}
}

// A lock whose owner could not reach the service for longer than a lease is lost, and he is told why.
func TestLostLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var failing atomic.Bool
		m.fail = func(string, bool) error {
			if failing.Load() {
				return errNetwork
			}
			return nil
		}
		unlock, err := remote.NewStore(t.Context(), m, "", remote.Options{}).Lock(t.Context(), "l", "owner")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		failing.Store(true)
		time.Sleep(90 * time.Second)
		failing.Store(false)
		var lost *remote.LostLockError
		if err := unlock(); !errors.As(err, &lost) || !errors.Is(err, errNetwork) {
			t.Errorf("%v", err)
		}
		if len(m.objects) != 0 {
			t.Errorf("left %v", m.objects)
		}
	})
}

// slicesOf gives the keys that begin with prefix.
func slicesOf(m *memory, prefix string) (keys []string) {
	found, _ := m.List(context.Background(), remote.List{Prefix: prefix, Recursive: true})
	for _, o := range found.Objects {
		keys = append(keys, o.Key)
	}
	return keys
}

// Reading from end to end costs few requests, reading here and there one for each.
func TestRequestsOfReading(t *testing.T) {
	m := newMemory()
	data := make([]byte, 20<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	st := remote.NewStore(t.Context(), m, "", remote.Options{})
	if err := put(t, st, "a", data); err != nil {
		t.Fatal(err)
	}
	gets := func(f func(o repo.ObjectReader)) int64 {
		before := st.Usage().Gets
		o, err := st.Open(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		f(o)
		if err := o.Close(); err != nil {
			t.Error(err)
		}
		return st.Usage().Gets - before
	}
	n := gets(func(o repo.ObjectReader) {
		got, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
	if n > 9 {
		t.Errorf("%d requests for 20 MiB from end to end", n)
	}
	n = gets(func(o repo.ObjectReader) {
		b := make([]byte, 1000)
		for off := int64(19 << 20); off > 1<<20; off -= 1 << 20 {
			if _, err := o.ReadAt(b, off); err != nil || !bytes.Equal(b, data[off:][:len(b)]) {
				t.Errorf("at %d: %v", off, err)
			}
		}
	})
	if n != 19 {
		t.Errorf("%d requests for 18 places", n)
	}
	if n := gets(func(repo.ObjectReader) {}); n != 1 {
		t.Errorf("%d requests to open", n)
	}
}

// A service that ignores conditions is refused before there is a repository.
func TestUnfit(t *testing.T) {
	m := newMemory()
	st := remote.NewStore(t.Context(), m, "p", remote.Options{})
	if err := st.CreateRoot(t.Context()); err != nil || len(m.objects) != 0 {
		t.Errorf("%v, left %v", err, m.objects)
	}
	m.fail = func(r string, late bool) error {
		if late && strings.HasPrefix(r, "put ") {
			return errNetwork // carried out, and the answer lost
		}
		return nil
	}
	if err := st.CreateRoot(t.Context()); err != nil || len(m.objects) != 0 {
		t.Errorf("without answers: %v, left %v", err, m.objects)
	}
	m.fail = func(string, bool) error { return nil }
	var known *remote.Error
	st = remote.NewStore(t.Context(), careless{m}, "p", remote.Options{})
	if err := st.CreateRoot(t.Context()); !errors.As(err, &known) || known.Cause != remote.Unfit {
		t.Errorf("%v", err)
	}
	m = newMemory()
	m.stuck = true
	st = remote.NewStore(t.Context(), m, "p", remote.Options{})
	if err := st.CreateRoot(t.Context()); !errors.As(err, &known) || known.Cause != remote.Unfit || len(m.objects) != 0 {
		t.Errorf("lists begin at the beginning: %v, left %v", err, m.objects)
	}
	for i := range memoryPage + 1 { // nor does a long list go round in circles
		m.objects[fmt.Sprintf("p/%04d", i)] = stored{}
	}
	if found, err := st.List(t.Context(), "", true); !errors.As(err, &known) || known.Cause != remote.Unfit {
		t.Errorf("listed %d, %v", len(found), err)
	}
}

// careless is a service that overwrites.
type careless struct{ *memory }

func (c careless) Put(ctx context.Context, key string, data []byte, o remote.PutOptions) (string, error) {
	_ = c.memory.Delete(ctx, []string{key})
	o.Replaces = ""
	return c.memory.Put(ctx, key, data, o)
}

// URLs with secrets or mistakes are refused, without being repeated.
func TestParseURL(t *testing.T) {
	for url, words := range map[string]string{
		"s3://key:hidden@bucket/x":               "refused",
		"s3://key@bucket/x":                      "refused",
		"s3://bucket/x?secret_access_key=hidden": "refused",
		"s3://bucket/x?regoin=hidden":            "unknown \"regoin\"",
		"s3://bucket/x?requests=0":               "1 to 1000",
		"s3://bucket/x?timeout=soon":             "want a time",
		"s3://bucket/a/../b":                     "no empty names, dots",
		"s3:///x":                                "want s3://",
		"s3://bucket/x?%zzhidden":                "cannot be read",
		"s3://bu cket/hidden":                    "not a URL",
	} {
		u, err := remote.ParseURL(url)
		if err == nil {
			u.Options()
			err = u.Verify()
		}
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v, want %q", url, err, words)
		}
	}
	u, err := remote.ParseURL("s3://bucket/a/b/?requests=3&timeout=1m")
	if err != nil {
		t.Fatal(err)
	}
	if o := u.Options(); o.Requests != 3 || o.Patience != time.Minute || u.Verify() != nil ||
		u.String() != "s3://bucket/a/b" {
		t.Errorf("%+v, %v, %s", o, u.Verify(), u)
	}
}

// Listing backups and planning a restore cost a few requests for each backup of the chain, however many files,
// packs and WAL segments there are.
func TestRequestsOfPlanning(t *testing.T) {
	from, err := repo.OpenStore(t.Context(), "../repo/testdata/golden")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := from.List(t.Context(), "", true)
	if err != nil || len(objects) < 20 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	m := newMemory()
	st := remote.NewStore(t.Context(), m, "", remote.Options{})
	for _, info := range objects {
		o, err := from.Open(t.Context(), info.Name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
		if err := errors.Join(err, o.Close(), put(t, st, info.Name, data)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5000 { // of no concern to a list or a plan
		m.objects[fmt.Sprintf("main/wal/00000001/%024X", i)] = stored{at: m.now}
	}
	requests := func(most int64, f func() error) {
		t.Helper()
		before := st.Usage()
		if err := f(); err != nil {
			t.Fatal(err)
		}
		if n := st.Usage().Requests() - before.Requests(); n > most {
			t.Errorf("%d requests, want at most %d: %+v", n, most, st.Usage())
		}
	}
	var cluster *repo.Cluster
	var backups []*repo.Manifest
	requests(1, func() (err error) {
		cluster, err = repo.OpenCluster(t.Context(), st, "main")
		return err
	})
	// A listing, each manifest, and two by which that of an interrupted backup turns out to be absent.
	requests(6, func() (err error) {
		backups, err = cluster.Backups(t.Context())
		if len(backups) != 3 {
			t.Errorf("%d backups", len(backups))
		}
		return err
	})
	requests(24, func() error { // locks, and for each backup its manifest, a listing and its index
		incremental := slices.IndexFunc(backups, func(m *repo.Manifest) bool { return m.Parent != "" })
		chain, err := cluster.OpenChain(t.Context(), backups[incremental])
		if err != nil {
			return err
		}
		for _, err := range chain.Files(t.Context()) {
			if err != nil {
				return err
			}
		}
		return chain.Close()
	})
	archive := cluster.WAL(repo.Compression{})
	requests(3, func() error { // a look, the segment and its map
		name := fmt.Sprintf("%024X", 1<<20)
		return errors.Join(archive.Put(t.Context(), name, strings.NewReader("WAL")), archive.PutMap(t.Context(), name, nil))
	})
	requests(2, func() error { // a write that is refused, and a look whose map is there
		return archive.PutMap(t.Context(), fmt.Sprintf("%024X", 1<<20), []byte("another"))
	})
	requests(1, func() error { // a list that begins behind what is there
		var names []string
		for i := range 60 {
			names = append(names, fmt.Sprintf("%08X%016X", 1, 1<<21+i))
		}
		lacking, err := archive.Lacking(t.Context(), names)
		if len(lacking) != len(names) {
			t.Errorf("lacking %v", lacking)
		}
		return err
	})
	requests(1, func() error {
		names, err := archive.List(t.Context(), 1, fmt.Sprintf("%08X%016X", 1, 4990))
		if err == nil && len(names) > 0 {
			t.Errorf("listed %v", names)
		}
		return err
	})
}
