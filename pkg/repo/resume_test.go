package repo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// What an interrupted backup has stored and what is the same still is not stored again; the rest is, whether it
// changed, went, grew or was cut; and nothing but the backup is left.
func TestResume(t *testing.T) {
	eachKey(t, func(t *testing.T, k keyedCluster) {
		ctx := t.Context()
		s, n := newTestState(), new(notices)
		left := leaveBehind(ctx, t, k.c, fullID, s)
		if left.Packs < 6 || left.Bytes < int64(left.Packs)*testPackSize/2 {
			t.Errorf("left: %+v", left)
		}
		for _, kind := range []string{repo.TypeFull, repo.TypeIncremental} {
			id := resumable(ctx, t, k.c, kind)
			if want := map[string]string{repo.TypeFull: fullID}[kind]; id != want {
				t.Errorf("%s: %q", kind, id)
			}
		}
		s.change()
		m, err := complete(ctx, k.c, "20261124T000000Z-F", s, n)
		must(t, err)
		rightBackup(t, k.reads, fullID, s)
		onlyListed(t, k.c, m)
		begun, _, _ := repo.ParseID(fullID)
		if o := m.TakenOver; m.ID != fullID || o == nil || o.Frames < 20 || o.Bytes == 0 || !o.BegunAt.Equal(begun) {
			t.Errorf("%s, %+v", m.ID, o)
		}
		if len(n.errs) > 0 {
			t.Errorf("notices: %v", n.errs)
		}
		loaded, err := k.reads.Backup(ctx, fullID)
		if d := cmp.Diff(m.TakenOver, loaded.TakenOver); d != "" || err != nil {
			t.Error(d, err)
		}
		if id := resumable(ctx, t, k.c, repo.TypeFull); id != "" {
			t.Errorf("to go on with after all: %q", id)
		}
	})
}

// A backup may be interrupted again and again, by its end or a crash, and each attempt goes on with all before.
func TestResumeAgain(t *testing.T) {
	for _, crash := range []bool{false, true} {
		t.Run(fmt.Sprintf("crash %v", crash), func(t *testing.T) {
			ctx := t.Context()
			st := storetest.NewMemory()
			c := newTestCluster(t, st)
			s, n := newTestState(), new(notices)
			stop := func(b *repo.BackupWriter) {
				if crash {
					st.DropLocks() // what is open was never stored
					return
				}
				_, err := b.Leave(ctx)
				must(t, err)
			}
			b, err := interrupt(ctx, c, fullID, s)
			must(t, err)
			stop(b)
			for i := range 3 {
				s.relations["base/5/16385"][2*i] = uint64(i) + 1
				b, err := c.ResumeBackup(ctx, repo.TypeFull, zstd, n.add)
				must(t, err)
				b.SetPackSize(1)
				w := b.NewPackWriter()
				_, err = copyState(ctx, b, w, s)
				must(t, errors.Join(err, b.PutWAL(ctx, walSeg, strings.NewReader("cut off again"))))
				// One more frame, so that the pack of the last one is full.
				_, err = w.WriteFrame(ctx, []byte("x"), nil)
				must(t, err)
				stop(b)
			}
			m, err := complete(ctx, c, fullID, s, n)
			must(t, err)
			rightBackup(t, c, fullID, s)
			onlyListed(t, c, m)
			if len(n.errs) > 0 {
				t.Errorf("notices: %v", n.errs)
			}
		})
	}
}

// Who goes on with an attempt has it for himself: another one begins anew, and nobody removes it.
func TestResumeTwice(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	s, n := newTestState(), new(notices)
	b, err := interrupt(ctx, c, fullID, s)
	must(t, err)
	if other, err := c.ResumeBackup(ctx, repo.TypeFull, zstd, n.add); other != nil || err != nil || len(n.errs) != 1 {
		t.Errorf("taken up while it is written: %v, %v", err, n.errs)
	}
	_, err = b.Leave(ctx)
	must(t, err)
	first, err := c.ResumeBackup(ctx, repo.TypeFull, zstd, n.add)
	must(t, err)
	if first == nil {
		t.Fatalf("not taken up: %v", n.errs)
	}
	if second, err := c.ResumeBackup(ctx, repo.TypeFull, zstd, n.add); second != nil || err != nil {
		t.Errorf("taken up twice: %v", err)
	}
	r, err := c.NewRemover(ctx)
	must(t, err)
	var inUse *repo.InUseError
	if err := r.Unfinished(ctx, fullID); !errors.As(err, &inUse) {
		t.Errorf("removed: %v", err)
	}
	must(t, errors.Join(r.Close(), first.Abort(ctx)))
	if d := cmp.Diff([]string{"main/cluster.json"}, st.Names()); d != "" {
		t.Errorf("an attempt that is refused leaves nothing: %s", d)
	}
}

// Two hosts go on with one attempt at the same time, because the lock of the first was lost: one backup at most comes
// of it, and it is right.
func TestResumeLostLock(t *testing.T) {
	for _, leave := range []bool{false, true} {
		t.Run(fmt.Sprintf("leave %v", leave), func(t *testing.T) {
			ctx := t.Context()
			st := storetest.NewMemory()
			c := newTestCluster(t, st)
			s, n := newTestState(), new(notices)
			leaveBehind(ctx, t, c, fullID, s)
			first, err := c.ResumeBackup(ctx, repo.TypeFull, zstd, n.add)
			must(t, err)
			first.SetPackSize(testPackSize)
			s.change()
			w := first.NewPackWriter()
			files, err := copyState(ctx, first, w, s)
			must(t, errors.Join(err, w.Close(ctx)))
			st.DropLocks()
			m, err := complete(ctx, c, fullID, s, n)
			must(t, err)
			for _, f := range files {
				must(t, first.AppendFile(ctx, f))
			}
			if err := first.PutControl(ctx, make([]byte, pg.ControlFileSize)); !errors.Is(err, repo.ErrExists) {
				t.Errorf("the second control file: %v", err)
			}
			if err := first.Commit(ctx, testManifest(fullID, "", 0x2000028)); err == nil {
				t.Error("committed twice")
			}
			if leave {
				_, err = first.Leave(ctx)
			} else {
				err = first.Abort(ctx)
			}
			must(t, err)
			rightBackup(t, c, m.ID, s)
		})
	}
}

// A backup is not committed when what it is made of was removed, which only a lost lock makes possible.
func TestCommitNeedsObjects(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	fill := func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
		files, err := smallFull(ctx, w)
		must(t, errors.Join(err, w.Close(ctx)))
		must(t, st.Delete(ctx, "main/backups/"+fullID+"/000001.pack"))
		return files, nil
	}
	b, err := c.CreateBackup(ctx, fullID, zstd)
	must(t, err)
	files, err := fill(ctx, b.NewPackWriter())
	must(t, err)
	for _, f := range files {
		must(t, b.AppendFile(ctx, f))
	}
	must(t, b.PutControl(ctx, make([]byte, pg.ControlFileSize)))
	must(t, b.PutWAL(ctx, walSeg, strings.NewReader("x")))
	err = b.Commit(ctx, testManifest(fullID, "", 0x2000028))
	if err == nil || !strings.Contains(err.Error(), "000001.pack was removed") {
		t.Errorf("%v", err)
	}
	must(t, b.Abort(ctx))
}

// An attempt is of use until there is a backup that makes it useless: a later one of the type, for an incremental any
// later one.
func TestResumable(t *testing.T) {
	ctx := t.Context()
	const a, b, d = "20261124T000000Z-", "20261124T000001Z-", "20261124T000002Z-"
	for _, tt := range []struct{ left, then, full, incremental string }{
		{a + "F", "", a + "F", ""},
		{a + "I", "", "", a + "I"},
		{a + "F", b + "F", "", ""},
		{a + "I", b + "F", "", ""},
		{b + "F", a + "F", b + "F", ""},
		{b + "I", a + "F", "", b + "I"},
		{a + "F " + b + "F " + d + "I", "", b + "F", d + "I"},
		{a + "I " + b + "F " + d + "I", "", b + "F", d + "I"},
		{a + "F " + d + "I", b + "F", "", d + "I"},
	} {
		t.Run(tt.left+" then "+tt.then, func(t *testing.T) {
			c := newTestCluster(t, storetest.NewMemory()) //nolint:contextcheck // t's is the same
			for id := range strings.FieldsSeq(tt.left) {
				leaveBehind(ctx, t, c, id, newTestState())
			}
			if tt.then != "" {
				_, err := store(ctx, c, testManifest(tt.then, "", 0x2000028), smallFull)
				must(t, err)
			}
			full, incremental := resumable(ctx, t, c, repo.TypeFull), resumable(ctx, t, c, repo.TypeIncremental)
			if full != tt.full || incremental != tt.incremental {
				t.Errorf("%q and %q", full, incremental)
			}
		})
	}
}
