package repo_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// remove removes backups, and fails the test if that fails.
func remove(ctx context.Context, c *repo.Cluster, ids ...string) (err error) {
	r, err := c.NewRemover(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, id := range ids {
		if err := r.Backup(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// wantInUse wants removal to be refused for this reason, and everything to be there still.
func wantInUse(t *testing.T, st *storetest.Memory, c *repo.Cluster, id, reason string) {
	t.Helper()
	before := st.Names()
	var inUse *repo.InUseError
	if err := remove(t.Context(), c, id); !errors.As(err, &inUse) || !strings.Contains(inUse.Reason, reason) {
		t.Errorf("remove %s: %v, want %q", id, err, reason)
	}
	if d := cmp.Diff(before, st.Names()); d != "" {
		t.Error(d)
	}
}

// What somebody uses, what is built on and what is pinned is left alone; the rest goes, with all its objects.
func TestRemove(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	storeSmallChain(t, c)
	wantInUse(t, st, c, fullID, "backup "+incrID+" is built on it")

	u, err := c.Use(ctx, incrID)
	must(t, err)
	if d := cmp.Diff([]string{fullID, incrID}, ids(u.Chain)); d != "" {
		t.Error(d)
	}
	for _, id := range []string{fullID, incrID} {
		wantInUse(t, st, c, id, "using "+incrID)
	}
	must(t, errors.Join(u.Release(), u.Release()))

	pin := repo.Pin{Backup: incrID, At: time.Unix(1_790_000_000, 5), By: "me", Note: "before the upgrade"}
	if created, err := c.Pin(ctx, pin); err != nil || !created {
		t.Errorf("pin: %v, %v", created, err)
	}
	if created, err := c.Pin(ctx, repo.Pin{Backup: incrID, Note: "again"}); err != nil || created {
		t.Errorf("pin again: %v, %v", created, err)
	}
	pins, err := c.Pins(ctx)
	want := pin
	want.Format, want.At = 1, time.Unix(1_790_000_000, 0).UTC()
	if d := cmp.Diff(map[string]*repo.Pin{incrID: &want}, pins); d != "" || err != nil {
		t.Error(d, err)
	}
	wantInUse(t, st, c, incrID, "pinned")
	st.Damage("main/pins/"+incrID+".json", []byte("damaged"))
	wantInUse(t, st, c, incrID, "pinned")
	for _, want := range []bool{true, false} {
		if removed, err := c.Unpin(ctx, incrID); err != nil || removed != want {
			t.Errorf("unpin: %v, %v", removed, err)
		}
	}

	must(t, remove(ctx, c, incrID, incrID, fullID))
	if d := cmp.Diff([]string{"main/cluster.json"}, st.Names()); d != "" {
		t.Error(d)
	}
	if _, err := c.Use(ctx, incrID); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("use of what is gone: %v", err)
	}
	if _, err := c.Pin(ctx, pin); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("pin of what is gone: %v", err)
	}
	held, err := c.Locks(ctx)
	if err != nil || len(held) != 0 {
		t.Errorf("locks left: %v, %v", held, err)
	}
}

// A backup that is being written is not taken for garbage, and one of the same name is not begun.
// When its process is gone it is.
func TestRemoveUnfinished(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	b, err := c.CreateBackup(ctx, fullID, zstd)
	must(t, err)
	must(t, b.PutWAL(ctx, walSeg, strings.NewReader("x")))
	if _, err := c.CreateBackup(ctx, fullID, zstd); !errors.Is(err, repo.ErrExists) {
		t.Errorf("the same name: %v", err)
	}
	r, err := c.NewRemover(ctx)
	must(t, err)
	if _, err := c.NewRemover(ctx); !errors.Is(err, repo.ErrLocked) {
		t.Errorf("two removers: %v", err)
	}
	var inUse *repo.InUseError
	if err := r.Unfinished(ctx, fullID); !errors.As(err, &inUse) {
		t.Errorf("removed while it is written: %v", err)
	}
	there, err := c.BackupObjects(ctx)
	if len(there[fullID]) != 1 || err != nil {
		t.Errorf("%v, %v", there, err)
	}
	st.DropLocks()
	must(t, r.Unfinished(ctx, fullID))
	if d := cmp.Diff([]string{"main/cluster.json"}, st.Names()); d != "" {
		t.Error(d)
	}
	must(t, b.Abort(ctx))
	storeSmallChain(t, c)
	if err := r.Unfinished(ctx, fullID); !errors.As(err, &inUse) {
		t.Errorf("removed a backup as garbage: %v", err)
	}
}

// A backup whose parent went away, because a lock was lost, is not committed.
func TestCommitNeedsParent(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	_, err := store(ctx, c, testManifest(fullID, "", 0x2000028), smallFull)
	must(t, err)
	fill := func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
		must(t, remove(ctx, c, fullID))
		return smallIncr(ctx, w)
	}
	_, err = store(ctx, c, testManifest(incrID, fullID, 0x3000028), fill)
	if err == nil || !strings.Contains(err.Error(), "was removed") {
		t.Errorf("%v", err)
	}
	if all, err := c.Backups(ctx); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

// Readers and removers at the same time: a reader has either a whole chain for as long as he
// holds it, or is told that there is none.
func TestUseWhileRemoving(t *testing.T) {
	ctx := t.Context()
	for range 4 {
		st := newTestStore(t)
		c := newTestCluster(t, st)
		storeSmallChain(t, c)
		done := make(chan error, 1)
		try := func() {
			err := remove(ctx, c, incrID, fullID)
			var inUse *repo.InUseError
			if errors.As(err, &inUse) {
				err = nil
			}
			done <- err
		}
		go try()
		for tries := 0; ; tries++ {
			u, err := c.Use(ctx, incrID)
			if errors.Is(err, repo.ErrNotFound) {
				break
			}
			must(t, err)
			if _, err := readAll(ctx, c, incrID); err != nil {
				t.Errorf("while it was held: %v", err)
			}
			must(t, u.Release())
			select {
			case err := <-done:
				must(t, err)
				go try()
			default:
			}
			if tries > 20 { // a gap, so that the remover comes through at last
				time.Sleep(5 * time.Millisecond)
			}
		}
		must(t, <-done)
	}
}

// Wherever removing a backup fails, the others are whole; the next attempt finishes it.
func TestRemovingFails(t *testing.T) {
	prepare := func(c *repo.Cluster) {
		storeSmallChain(t, c)
		_, err := store(t.Context(), c, testManifest("20261123T083812Z-I", fullID, 0x4000028), smallIncr)
		must(t, err)
	}
	body := func(ctx context.Context, st repo.Store) error {
		c, err := repo.OpenCluster(ctx, st, "main")
		if err != nil {
			return err
		}
		return remove(ctx, c, incrID)
	}
	eachFault(t, prepare, body, func(t *testing.T, c *repo.Cluster, _ error) {
		for _, id := range []string{fullID, "20261123T083812Z-I"} {
			if ok, problems := verify(t, c, id); !ok {
				t.Errorf("%s: %q", id, problems)
			}
		}
		r, err := c.NewRemover(t.Context())
		must(t, err)
		if _, err = c.Backup(t.Context(), incrID); err == nil {
			err = r.Backup(t.Context(), incrID)
		} else {
			err = r.Unfinished(t.Context(), incrID)
		}
		must(t, errors.Join(err, r.Close()))
		there, err := c.BackupObjects(t.Context())
		if len(there) != 2 || err != nil {
			t.Errorf("left: %v, %v", there, err)
		}
	})
}
