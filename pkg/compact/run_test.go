package compact

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgincr/pgincr/pkg/keys"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// newCluster makes an entry in memory, encrypted or not.
func newCluster(t *testing.T, encrypted bool) (*storetest.Memory, *repo.Cluster) {
	t.Helper()
	st := storetest.NewMemory()
	if !encrypted {
		c, _, err := repo.Init(t.Context(), st, fabInfo())
		must(t, err)
		return st, c
	}
	file, public, err := keys.Generate()
	must(t, err)
	ids, err := keys.ParseIdentities(file)
	must(t, err)
	to, err := keys.ParseRecipient(public, keys.All)
	must(t, err)
	_, _, err = repo.Init(t.Context(), st, fabInfo(),
		repo.WithEncryption(repo.Encryption{Recipients: []keys.Recipient{to}}))
	must(t, err)
	c, err := repo.OpenCluster(t.Context(), st, "main", repo.WithCredentials(keys.Credentials{Identities: ids}))
	must(t, err)
	return st, c
}

// Whatever link of whatever chain is compacted, the result holds its state: content, page hashes, and all that the
// next backup trusts; nothing that was there has changed.
func TestCompact(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		for seed := range uint64(6) {
			st, c := newCluster(t, encrypted)
			f := newFab(t, c, seed, 6, 500)
			f.perturb = []int{3, 10, 200}[seed%3]
			f.chain(5)
			objects := map[string][]byte{}
			for _, name := range st.Names() {
				objects[name] = st.Bytes(name)
			}
			var copied, encoded int64
			for _, id := range f.ids[1:] {
				r, err := compact(t.Context(), c, id, options())
				must(t, err)
				if r.Existing || r.Backup.ID != strings.TrimSuffix(id, "I")+"F" {
					t.Errorf("%s: %+v", id, r)
				}
				if d := cmp.Diff([]string{r.Backup.ID}, f.check(c, r.Backup.ID, f.states[id])); d != "" {
					t.Error(d)
				}
				f.checkTrusted(id, r.Backup.ID)
				copied += r.Plan.FramesCopied
				encoded += r.Plan.FramesRead
			}
			if copied == 0 || encoded == 0 {
				t.Errorf("seed %d: %d frames copied, %d encoded", seed, copied, encoded)
			}
			for name, b := range objects {
				if !bytes.Equal(b, st.Bytes(name)) {
					t.Errorf("%s: changed", name)
				}
			}
		}
	}
}

// checkTrusted compares manifest and attributes of files.
func (f *fab) checkTrusted(id, compacted string) {
	t, ctx := f.t, f.t.Context()
	t.Helper()
	was, err := f.c.Backup(ctx, id)
	must(t, err)
	is, err := f.c.Backup(ctx, compacted)
	must(t, err)
	want := *was
	want.ID, want.Type, want.Parent = compacted, repo.TypeFull, ""
	want.CompactedFrom, want.CompactedAt = id, time.Unix(1_800_000_000, 0).UTC()
	want.Version, want.BytesRead = "compacter", 0
	if d := cmp.Diff(&want, is, cmpopts.IgnoreFields(repo.Manifest{}, "Objects", "StoredBytes", "BlocksStored")); d != "" {
		t.Error(d)
	}
	files := func(m *repo.Manifest) (out []repo.File) {
		b, err := f.c.OpenBackup(ctx, m)
		must(t, err)
		for file, err := range b.Files(ctx) {
			must(t, err)
			n := *file
			n.Frames, n.Zero, n.Whole = nil, nil, false
			out = append(out, n)
		}
		must(t, b.Close())
		return out
	}
	if d := cmp.Diff(files(was), files(is)); d != "" {
		t.Error(d)
	}
	if is.BlocksStored == 0 {
		t.Error("no blocks")
	}
}

// What was built on a compacted backup, before or after, is read through the compacted one, with the old chain
// there or gone; that stays as long as anything is built on it. Compacting again finds it.
func TestChildrenOfCompacted(t *testing.T) {
	ctx := t.Context()
	_, c := newCluster(t, false)
	f := newFab(t, c, 7, 4, 300)
	f.chain(3)
	old, newest := f.ids[2], f.ids[3]
	r, err := compact(ctx, c, old, options())
	must(t, err)
	full := r.Backup.ID
	if r, err = compact(ctx, c, old, options()); err != nil || !r.Existing || r.Backup.ID != full {
		t.Fatalf("again: %+v, %v", r, err)
	}
	if r, err = compact(ctx, c, full, options()); err != nil || !r.Existing || r.Backup.ID != full {
		t.Fatalf("the full one: %+v, %v", r, err)
	}
	f.now, f.states[full] = f.states[old], f.states[old]
	f.change()
	child, err := f.take(ctx, full)
	must(t, err)
	check := func() {
		t.Helper()
		for _, id := range []string{newest, child} {
			if d := cmp.Diff([]string{id, full}, f.check(c, id, f.states[id])); d != "" {
				t.Error(d)
			}
		}
	}
	check()

	var inUse *repo.InUseError
	use, err := c.Use(ctx, newest)
	must(t, err)
	for _, id := range []string{full, old} {
		if err := remove(ctx, c, id); !errors.As(err, &inUse) {
			t.Errorf("removed %s, which is used: %v", id, err)
		}
	}
	must(t, use.Release())
	must(t, remove(ctx, c, old, f.ids[1], f.ids[0]))
	check()
	if use, err = c.Use(ctx, newest); err != nil {
		t.Fatal(err)
	}
	if err := remove(ctx, c, full); !errors.As(err, &inUse) {
		t.Errorf("removed what is used: %v", err)
	}
	must(t, use.Release())
	if err := remove(ctx, c, full); !errors.As(err, &inUse) || !strings.Contains(inUse.Reason, "is built on it") {
		t.Errorf("removed what is built on: %v", err)
	}
	must(t, remove(ctx, c, newest, child, full))
	left, err := c.Backups(ctx)
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// The compacted backup is the latest where its source was, and the latest full one.
func TestCompactedIsLatest(t *testing.T) {
	ctx := t.Context()
	_, c := newCluster(t, false)
	f := newFab(t, c, 8, 2, 100)
	f.chain(2)
	r, err := compact(ctx, c, repo.Latest, options())
	must(t, err)
	for _, name := range []string{repo.Latest, repo.LatestFull} {
		if m, err := c.Backup(ctx, name); err != nil || m.ID != r.Backup.ID {
			t.Errorf("%s: %v, %v", name, m.ID, err)
		}
	}
	f.now = f.states[f.ids[2]]
	f.states[r.Backup.ID] = f.now
	f.change()
	id, err := f.take(ctx, r.Backup.ID)
	must(t, err)
	if d := cmp.Diff([]string{id, r.Backup.ID}, f.check(c, id, f.now)); d != "" {
		t.Error(d)
	}
}

// Where the compacted backup's manifest is damaged, the parent is used; if that is gone, the damage is told. Nothing
// is stored in its place.
func TestDamagedCompacted(t *testing.T) {
	ctx := t.Context()
	st, c := newCluster(t, false)
	f := newFab(t, c, 9, 2, 100)
	f.chain(3)
	r, err := compact(ctx, c, f.ids[2], options())
	must(t, err)
	name := "main/backups/" + r.Backup.ID + "/manifest.json"
	whole := st.Bytes(name)
	st.Damage(name, whole[:len(whole)-1])
	if d := cmp.Diff([]string{f.ids[3], f.ids[2], f.ids[1], f.ids[0]}, f.check(c, f.ids[3], f.states[f.ids[3]])); d != "" {
		t.Errorf("a damaged manifest is not passed over: %s", d)
	}
	if _, err := compact(ctx, c, f.ids[2], options()); !errors.Is(err, repo.ErrCorrupt) {
		t.Errorf("compacted over a damaged one: %v", err)
	}
	st.Damage(name, whole)
	must(t, remove(ctx, c, f.ids[2]))
	st.Damage(name, whole[:len(whole)-1])
	m, err := c.Backup(ctx, f.ids[3])
	must(t, err)
	if _, err := c.Chain(ctx, m); !errors.Is(err, repo.ErrCorrupt) || !strings.Contains(err.Error(), r.Backup.ID) {
		t.Errorf("the chain: %v", err)
	}
}

// Damage is not copied: whatever is damaged that the state needs, compacting fails, names it and leaves nothing.
func TestCompactDamaged(t *testing.T) {
	ctx := t.Context()
	st, c := newCluster(t, false)
	f := newFab(t, c, 10, 3, 200)
	f.perturb = 1 << 30 // all of the full backup is needed
	f.chain(1)
	before := st.Names()
	damaged := 0
	for _, name := range before {
		b := st.Bytes(name)
		if !strings.Contains(name, "/backups/") || len(b) < 300 {
			continue
		}
		for _, at := range []int{20, 180, len(b) / 2, len(b) - 20} {
			bad := slices.Clone(b)
			bad[at] ^= 0x10
			st.Damage(name, bad)
			_, err := compact(ctx, c, f.ids[1], options())
			if err == nil { // the end of a pack, say, which nobody needs
				f.check(c, repo.CompactedID(f.ids[1]), f.states[f.ids[1]])
				must(t, remove(ctx, c, repo.CompactedID(f.ids[1])))
			} else {
				damaged++
				if !errors.Is(err, repo.ErrCorrupt) && !errors.Is(err, repo.ErrNewer) {
					t.Errorf("%s at %d: %v", name, at, err)
				}
			}
			st.Damage(name, b)
			if d := cmp.Diff(before, st.Names()); d != "" {
				t.Fatalf("%s at %d: %s", name, at, d)
			}
		}
	}
	if damaged < 20 {
		t.Errorf("only %d damages were noticed", damaged)
	}
}

// Wherever compacting fails, the chain is as it was, the compacted backup is whole or none, and the next
// attempt completes it.
func TestCompactFails(t *testing.T) {
	for _, mode := range []storetest.FaultMode{storetest.FailOnce, storetest.FailLate, storetest.Die} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				fired := compactWithFault(t, mode, n)
				if t.Failed() {
					t.Fatalf("operation %d", n)
				}
				if !fired {
					t.Logf("%d operations", n-1)
					return
				}
			}
		})
	}
}

// compactWithFault lets the n-th operation fail, and says whether there was one.
func compactWithFault(t *testing.T, mode storetest.FaultMode, n int) bool {
	ctx := t.Context()
	st, c := newCluster(t, false)
	f := newFab(t, c, 11, 2, 40)
	f.frame = 20
	f.chain(2)
	faults := storetest.NewFaults(st, mode, n)
	faulty, err := repo.OpenCluster(ctx, faults, "main")
	if err == nil {
		o := options()
		o.Jobs = 1
		_, err = compact(ctx, faulty, f.ids[2], o)
	}
	if faults.Fired() && mode != storetest.FailLate && !errors.Is(err, storetest.ErrInjected) && err != nil {
		t.Errorf("%v", err)
	}
	if !faults.Fired() && err != nil {
		t.Error(err)
	}
	if mode == storetest.Die {
		st.DropLocks()
	}
	f.check(c, f.ids[2], f.states[f.ids[2]])
	r, err := compact(ctx, c, f.ids[2], options())
	must(t, err)
	f.check(c, r.Backup.ID, f.states[f.ids[2]])
	return faults.Fired()
}

// While a compaction is under way nobody removes what it reads or what it has written, and nobody else makes the same.
func TestCompactIsAlone(t *testing.T) {
	ctx := t.Context()
	_, c := newCluster(t, false)
	f := newFab(t, c, 12, 3, 200)
	f.chain(2)
	o, met := options(), false
	o.Jobs = 1
	o.Clock = func() time.Time { // called right before the commit
		met = true
		var inUse *repo.InUseError
		for _, id := range f.ids {
			if err := remove(ctx, c, id); !errors.As(err, &inUse) {
				t.Errorf("removed %s: %v", id, err)
			}
		}
		r, err := c.NewRemover(ctx)
		must(t, err)
		if err := r.Unfinished(ctx, repo.CompactedID(f.ids[2])); !errors.As(err, &inUse) {
			t.Errorf("removed what is written: %v", err)
		}
		must(t, r.Close())
		if _, err := compact(ctx, c, f.ids[2], options()); !errors.Is(err, repo.ErrLocked) {
			t.Errorf("the same at the same time: %v", err)
		}
		return time.Unix(1_800_000_000, 0)
	}
	_, err := compact(ctx, c, f.ids[2], o)
	must(t, err)
	if !met {
		t.Error("no clock was asked")
	}
}

// A dry run plans and stores nothing.
func TestDryRun(t *testing.T) {
	st, c := newCluster(t, false)
	f := newFab(t, c, 13, 3, 200)
	f.chain(2)
	before := st.Names()
	o := options()
	o.DryRun = true
	r, err := compact(context.Background(), c, f.ids[2], o)
	must(t, err)
	if r.Backup != nil || r.Existing || r.Plan.BytesToRead == 0 || r.Plan.FramesRead == 0 ||
		!slices.Equal(r.Chain, f.ids) {
		t.Errorf("%+v", r)
	}
	if d := cmp.Diff(before, st.Names()); d != "" {
		t.Error(d)
	}
}
