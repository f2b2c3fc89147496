package repo_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/repo"
)

// interruptedID is that of the golden backup that was interrupted.
const interruptedID = "20261125T083810Z-F"

// writeGoldenInterrupted writes what a backup leaves that is interrupted after its first pack.
func writeGoldenInterrupted(ctx context.Context, c *repo.Cluster, z repo.Compression) error {
	b, err := c.CreateBackup(ctx, interruptedID, z)
	if err != nil {
		return err
	}
	b.SetPackSize(3000)
	w := b.NewPackWriter()
	for _, part := range [][]byte{{0}, {1, 3}, {4}} { // the last is in a second pack, which is not finished
		if part[0] == 0 {
			version, err := plain(ctx, w, "PG_VERSION", []byte("17\n"))
			if err := errors.Join(err, w.Holds(ctx, version)); err != nil {
				return err
			}
		}
		f, err := goldenFile(ctx, w, 1, part...)
		if err := errors.Join(err, w.Holds(ctx, f)); err != nil {
			return err
		}
	}
	_, err = b.Leave(ctx)
	return err
}

// goldenLeft is what the next attempt finds.
func goldenLeft() map[string][]repo.BlockRun {
	return map[string][]repo.BlockRun{"PG_VERSION": nil, "base/5/16384": {run(0, 1), run(1, 1), run(3, 1)}}
}

// readGoldenInterrupted takes it up, as far as the key goes.
func readGoldenInterrupted(t *testing.T, c *repo.Cluster) {
	t.Helper()
	ctx := t.Context()
	n := new(notices)
	b, err := c.ResumeBackup(ctx, repo.TypeFull, zstd, n.add)
	must(t, err)
	if b == nil || b.ID() != interruptedID || len(n.errs) > 0 {
		t.Fatalf("not taken up: %v", n.errs)
	}
	got := map[string][]repo.BlockRun{}
	for f, err := range b.Earlier().Files(ctx) {
		must(t, err)
		got[f.Path] = nil
		for _, fr := range f.Versions[0].Frames {
			got[f.Path] = append(got[f.Path], fr.Runs...)
			ok, err := b.Earlier().Take(ctx, &fr)
			if !ok || err != nil {
				t.Errorf("%s: %v", f.Path, err)
			}
		}
		if f.Versions[0].Kind != repo.KindRelation {
			continue
		}
		hashes, err := b.Earlier().Hashes(ctx, f.Versions[0].Frames)
		must(t, err)
		want := [][]uint64{
			{repo.PageHash(goldenPage(1, 0))}, {repo.PageHash(goldenPage(1, 1)), repo.PageHash(goldenPage(1, 3))},
		}
		if d := cmp.Diff(want, hashes); d != "" {
			t.Error(d)
		}
	}
	if d := cmp.Diff(goldenLeft(), got); d != "" || len(n.errs) > 0 {
		t.Error(d, n.errs)
	}
	_, err = b.Leave(ctx)
	must(t, err)
}

// Every later version takes up what format 1 and 2 left.
func TestGoldenInterrupted(t *testing.T) {
	ctx := t.Context()
	c := copiedGolden(t)
	readGoldenInterrupted(t, c)
	if *update {
		updateEncryptedInterrupted(t)
	}
	for _, key := range []string{"all.key", "backup.key"} {
		with := repo.WithCredentials(goldenCredentials(t, key))
		c, err := repo.OpenCluster(ctx, encryptedGolden(t), "main", with)
		must(t, err)
		readGoldenInterrupted(t, c)
	}
}

// updateEncryptedInterrupted adds it to the golden files of format 2, which are not written again.
func updateEncryptedInterrupted(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	golden, err := repo.OpenStore(ctx, encryptedGoldenDir)
	must(t, err)
	with := repo.WithCredentials(goldenCredentials(t, "all.key"))
	c, err := repo.OpenCluster(ctx, golden, "main", with)
	must(t, err)
	ids, err := c.BackupIDs(ctx)
	must(t, err)
	for _, id := range ids {
		if id == interruptedID {
			return
		}
	}
	must(t, writeGoldenInterrupted(ctx, c, repo.Compression{}))
}
