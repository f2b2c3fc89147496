package backup

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// collector is an index in memory.
type collector struct{ files []*repo.File }

func (c *collector) append(_ context.Context, f *repo.File) error {
	c.files = append(c.files, f)
	return nil
}

func TestWindowOrder(t *testing.T) {
	// Whatever order workers finish in, the index has the order of the walk, without what was dropped.
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 50).Draw(rt, "n")
		order := rapid.Permutation(seqs(n)).Draw(rt, "order")
		dropped := rapid.SliceOfN(rapid.Bool(), n, n).Draw(rt, "dropped")
		var c collector
		w := newWindow(testGeometry, c.append)
		ctx := context.Background()
		var want []string
		for seq := range n {
			if err := w.begin(ctx, uint64(seq), 0); err != nil {
				rt.Fatal(err)
			}
			if !dropped[seq] {
				want = append(want, name(uint64(seq)))
			}
		}
		for _, seq := range order {
			f := &repo.File{Path: name(seq), Kind: repo.KindFile, Size: 1}
			if dropped[seq] {
				f = nil
			}
			if err := w.complete(ctx, seq, f); err != nil {
				rt.Fatal(err)
			}
		}
		var got []string
		for _, f := range c.files {
			got = append(got, f.Path)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
		if int(w.tally.files) != len(want) || len(w.done) != 0 || len(w.weights) != 0 {
			rt.Fatalf("%d files counted, %d and %d left behind", w.tally.files, len(w.done), len(w.weights))
		}
	})
}

func seqs(n int) (out []uint64) {
	for i := range n {
		out = append(out, uint64(i))
	}
	return out
}

func name(seq uint64) string { return string(rune('a' + seq%26)) }

func TestWindowBlocks(t *testing.T) {
	// No more is begun than the window holds until its first entry is done.
	var c collector
	w := newWindow(testGeometry, c.append)
	seq := uint64(0)
	for ; w.free.TryAcquire(1); seq++ {
		w.free.Release(1)
		if err := w.begin(t.Context(), seq, 131072); err != nil {
			t.Fatal(err)
		}
		if windowWeight-int64(seq+1)*65 < 65 {
			seq++
			break
		}
	}
	if seq < 60 || seq > 64 {
		t.Errorf("%d full segments under way", seq)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errPlanted)
	if err := w.begin(ctx, seq, 131072); !errors.Is(err, errPlanted) {
		t.Errorf("begin in a full window: %v", err)
	}
	if err := w.complete(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.begin(t.Context(), seq, 131072); err != nil {
		t.Error(err)
	}
}

func TestWindowError(t *testing.T) {
	// An index that cannot be written fails every later entry as well.
	w := newWindow(testGeometry, func(context.Context, *repo.File) error { return errPlanted })
	for seq := range uint64(2) {
		if err := w.begin(t.Context(), seq, 0); err != nil {
			t.Fatal(err)
		}
		err := w.complete(t.Context(), seq, &repo.File{Path: "x", Kind: repo.KindFile})
		if !errors.Is(err, errPlanted) {
			t.Errorf("entry %d: %v", seq, err)
		}
	}
}

func TestOrphans(t *testing.T) {
	// Nothing with content stays in the index behind a short or missing segment of its fork.
	const full = 16
	type seg struct {
		path   string
		blocks int64
	}
	tests := []struct {
		name string
		in   []seg
		want []string
	}{
		{
			"as it should be",
			[]seg{{"base/5/1", full}, {"base/5/1.1", full}, {"base/5/1.2", 3}},
			[]string{"base/5/1", "base/5/1.1", "base/5/1.2"},
		},
		{"short", []seg{{"base/5/1", 3}, {"base/5/1.1", full}, {"base/5/1.2", 1}}, []string{"base/5/1"}},
		{
			"empty ones stay",
			[]seg{{"base/5/1", 3}, {"base/5/1.1", 0}, {"base/5/1.2", 0}},
			[]string{"base/5/1", "base/5/1.1", "base/5/1.2"},
		},
		{
			"behind an empty one",
			[]seg{{"base/5/1", full}, {"base/5/1.1", 0}, {"base/5/1.2", 1}},
			[]string{"base/5/1", "base/5/1.1"},
		},
		{"gap", []seg{{"base/5/1", full}, {"base/5/1.2", full}, {"base/5/1.3", 1}}, []string{"base/5/1"}},
		{"first gone", []seg{{"base/5/1.1", full}}, nil},
		{"exactly full", []seg{{"base/5/1", full}, {"base/5/1.1", 1}}, []string{"base/5/1", "base/5/1.1"}},
		{
			"each fork by itself",
			[]seg{
				{"base/5/1", 3},
				{"base/5/1_fsm", full},
				{"base/5/1_fsm.1", 1},
				{"base/5/2", full},
				{"base/5/2.1", 1},
			},
			[]string{"base/5/1", "base/5/1_fsm", "base/5/1_fsm.1", "base/5/2", "base/5/2.1"},
		},
		{
			"each directory by itself",
			[]seg{{"base/5/1", 3}, {"base/6/1", full}, {"base/6/1.1", 1}},
			[]string{"base/5/1", "base/6/1", "base/6/1.1"},
		},
		{
			"other files do not matter",
			[]seg{{"base/5/1", full}, {"base/5/1.x", 3}, {"base/5/2", 3}},
			[]string{"base/5/1", "base/5/1.x", "base/5/2"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var o orphans
			var got []string
			for _, s := range tt.in {
				f := &repo.File{
					Path: s.path, Kind: repo.KindRelation, Size: s.blocks * int64(testGeometry.BlockSize),
				}
				if !o.is(f, testGeometry) {
					got = append(got, s.path)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTablespaceLink(t *testing.T) {
	// The manifest's tablespaces are the links that the index has.
	l, ok := tablespaceLink(&repo.File{Path: "pg_tblspc/16400", Link: "/a b"})
	if !ok || l != (pg.TablespaceLink{OID: 16400, Path: "/a b"}) {
		t.Errorf("%v, %v", l, ok)
	}
}
