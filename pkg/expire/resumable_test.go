package expire

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// What an interrupted backup left stays as long as the next one can go on with it, and that of who writes it always.
func TestRunLeavesResumable(t *testing.T) {
	ctx := t.Context()
	c := twoWeeks(t, storetest.NewMemory())
	leave := func(id string, end bool) {
		b, err := c.CreateBackup(ctx, id, repo.Compression{})
		must(t, err)
		b.SetPackSize(1)
		w := b.NewPackWriter()
		for range 2 {
			fr, err := w.WriteFrame(ctx, []byte("17\n"), nil)
			must(t, err)
			must(t, w.Holds(ctx, &repo.File{Path: "PG_VERSION", Kind: repo.KindFile, Size: 3, Frames: []repo.Frame{fr}}))
		}
		if end {
			_, err = b.Leave(ctx)
			must(t, err)
		}
	}
	run := func() *Result {
		t.Helper()
		o := options(Policy{KeepFull: 9})
		o.DryRun = true
		plan, err := Run(ctx, c, o)
		must(t, err)
		o.DryRun = false
		res, err := Run(ctx, c, o)
		must(t, err)
		if d := cmp.Diff(plan.Unfinished, res.Unfinished) + cmp.Diff(plan.Resumable, res.Resumable); d != "" {
			t.Errorf("a dry run says something else: %s", d)
		}
		return res
	}
	const (
		useless = "20261107T000000Z-F" // there is a later full one
		older   = "20261111T000000Z-F" // there is a later attempt
		full    = "20261112T000000Z-F"
		incr    = "20261113T000000Z-I"
	)
	for _, id := range []string{useless, older, full, incr} {
		leave(id, true)
	}
	res := run()
	want := [][]string{{full, incr}, {useless, "20261110T000000Z-F", older}}
	if d := cmp.Diff(want, [][]string{res.Resumable, res.Unfinished}); d != "" {
		t.Error(d)
	}
	must(t, store(ctx, c, "20261114T000000Z-I", full2, 9))
	res = run()
	want = [][]string{{full}, {incr}}
	if d := cmp.Diff(want, [][]string{res.Resumable, res.Unfinished}); d != "" {
		t.Error(d)
	}
	const written = "20261115T000000Z-F"
	leave(written, false)
	must(t, store(ctx, c, "20261116T000000Z-F", "", 10))
	res = run()
	want = [][]string{{}, {full}}
	if d := cmp.Diff(want, [][]string{res.Resumable, res.Unfinished}); d != "" {
		t.Error(d)
	}
	if ids := there(t, c); !strings.Contains(ids, written) {
		t.Errorf("%s: that of somebody who writes it was removed", ids)
	}
}
