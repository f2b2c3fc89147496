package repo_test

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// verify gives what a Verifier reports of a backup and its chain.
func verify(t testing.TB, c *repo.Cluster, id string) (ok bool, problems []string) {
	t.Helper()
	m, err := c.Backup(t.Context(), id)
	if err != nil {
		return false, []string{err.Error()}
	}
	v := c.NewVerifier(2, func(p repo.Problem) { problems = append(problems, p.String()) })
	ok, err = v.Backup(t.Context(), m)
	if err != nil {
		return false, append(problems, err.Error())
	}
	return ok, problems
}

// A backup in which nothing is wrong verifies, with everything counted.
func TestVerifyIntact(t *testing.T) {
	c := newTestCluster(t, newTestStore(t))
	storeChain(t, c)
	m, err := c.Backup(t.Context(), repo.Latest)
	must(t, err)
	v := c.NewVerifier(2, func(p repo.Problem) { t.Error(p) })
	ok, err := v.Backup(t.Context(), m)
	must(t, err)
	want := repo.VerifyStats{Backups: 2, Objects: 10, Frames: 15, Pages: 990 + 24, Files: 4}
	got := v.Stats()
	got.Bytes = 0
	if !ok || got != want {
		t.Errorf("ok %v, %+v, want %+v", ok, got, want)
	}
}

// Every single byte of a backup's objects is covered: whichever is changed, in whichever
// bit, verifying reports it and names the object, and where reading depends on the byte,
// reading fails as well. Nothing wrong is ever read as right.
func TestEveryFlippedByteIsNoticed(t *testing.T) {
	st := storetest.NewMemory()
	must(t, writeGolden(t.Context(), st, zstd))
	c, err := repo.OpenCluster(t.Context(), st, "main")
	must(t, err)
	right, err := readAll(t.Context(), c, incrID)
	must(t, err)
	for _, object := range st.Names() {
		name, ok := strings.CutPrefix(object, "main/backups/")
		if !ok {
			continue
		}
		intact := st.Bytes(object)
		for i := range intact {
			damaged := bytes.Clone(intact)
			damaged[i] ^= 1 << (i % 8)
			st.Damage(object, damaged)
			expectDamage(t, c, name, i, len(intact), right)
		}
		st.Damage(object, intact)
	}
	if ok, problems := verify(t, c, incrID); !ok {
		t.Errorf("after repair: %q", problems)
	}
}

// expectDamage checks what is said of one flipped byte of an object.
func expectDamage(t *testing.T, c *repo.Cluster, name string, at, size int, right map[string][]byte) {
	t.Helper()
	where := fmt.Sprintf("%s, byte %d", name, at)
	ok, problems := verify(t, c, incrID)
	if ok || len(problems) == 0 {
		// Only what the chain does not need of an older backup may leave this one whole,
		// and it is reported.
		if !strings.HasPrefix(name, fullID) || len(problems) == 0 {
			t.Errorf("%s: verify notices nothing", where)
		}
	}
	if _, id, _ := strings.Cut(name, "/"); len(problems) > 0 && !strings.Contains(strings.Join(problems, "\n"), id) {
		t.Errorf("%s: verify does not name the object: %q", where, problems)
	}
	got, err := readAll(t.Context(), c, incrID)
	if err != nil {
		return
	}
	for file, data := range right {
		if !bytes.Equal(data, got[file]) {
			t.Errorf("%s: %s is read wrong without an error", where, file)
		}
	}
	// Everything of the newest backup is read but the end frames of packs and page hashes.
	object := path.Base(name)
	if strings.HasPrefix(name, incrID) && (!strings.HasPrefix(object, "000001.") || at < size-64) {
		t.Errorf("%s: reading notices nothing", where)
	}
}

// An object that is missing, cut off, empty, or the one of another backup is noticed by
// verifying and before anything is read.
func TestEveryReplacedObjectIsNoticed(t *testing.T) {
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	storeSmallChain(t, c)
	for _, object := range st.Names() {
		name, ok := strings.CutPrefix(object, "main/backups/")
		if !ok {
			continue
		}
		intact := st.Bytes(object)
		id, file, _ := strings.Cut(name, "/")
		other := map[string]string{fullID: incrID, incrID: fullID}[id]
		for what, data := range map[string][]byte{
			"missing": nil, "empty": {}, "cut off": intact[: len(intact)/2 : len(intact)/2],
			"longer":    append(bytes.Clone(intact), 0),
			"another's": st.Bytes("main/backups/" + other + "/" + file),
		} {
			if bytes.Equal(data, intact) {
				continue // the carried WAL is the same in both
			}
			st.Damage(object, data)
			if _, problems := verify(t, c, incrID); len(problems) == 0 || !strings.Contains(strings.Join(problems, " "), id) {
				t.Errorf("%s %s: verify says %q", name, what, problems)
			}
			_, err := readAll(t.Context(), c, incrID)
			if err == nil && name != fullID+"/control" { // which only its own restore reads
				t.Errorf("%s %s: reading notices nothing", name, what)
			}
		}
		st.Damage(object, intact)
	}
}

// What is stored as it was written, but was written wrong, is found as well: page hashes
// and content checksums are computed again.
func TestVerifyRecomputes(t *testing.T) {
	for name, test := range map[string]struct {
		fill fill
		want string
	}{
		"page hash": {func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
			raw := append(testPage(1), testPage(2)...)
			fr, err := w.WriteFrame(ctx, raw, []uint64{repo.PageHash(testPage(1)), 99})
			fr.Runs = []repo.BlockRun{run(0, 2)}
			f := &repo.File{Path: "base/5/16384", Kind: repo.KindRelation, Size: 16384, Whole: true, Frames: []repo.Frame{fr}}
			return []*repo.File{f}, err
		}, "page 1 of the frame does not match its page hash"},
		"content checksum": {func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
			f, err := plain(ctx, w, "PG_VERSION", []byte("15\n"))
			f.Sum++
			return []*repo.File{f}, err
		}, "PG_VERSION: stored data is corrupt: content has checksum"},
		"block from nowhere": {func(context.Context, *repo.PackWriter) ([]*repo.File, error) {
			return []*repo.File{{Path: "base/5/16384", Kind: repo.KindRelation, Size: 8192}}, nil
		}, "base/5/16384 is not whole in the full backup"},
		"frame from nowhere": {func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
			f, err := plain(ctx, w, "PG_VERSION", []byte("15\n"))
			f.Frames[0].Offset++
			return []*repo.File{f}, err
		}, "offset 129: stored data is corrupt"},
	} {
		c := newTestCluster(t, storetest.NewMemory())
		_, err := store(t.Context(), c, testManifest(fullID, "", 0x2000028), test.fill)
		must(t, err)
		ok, problems := verify(t, c, fullID)
		if ok || !strings.Contains(strings.Join(problems, "\n"), test.want) {
			t.Errorf("%s: ok %v, %q", name, ok, problems)
		}
	}
}

// Damage in a full backup makes exactly those of its chain unrestorable that need the
// damaged frame, and behind a damaged frame the pack is still followed.
func TestVerifyNamesWhoSuffers(t *testing.T) {
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	storeSmallChain(t, c)
	// All that the full backup still supplied of the relation is replaced.
	last := "20261123T083813Z-I"
	rewrite := func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
		r, err := rel(ctx, w, "base/5/16384", 5, 3, 5, run(0, 5))
		r.Whole = true
		return []*repo.File{r}, err
	}
	_, err := store(t.Context(), c, testManifest(last, incrID, 0x4000028), rewrite)
	must(t, err)
	const object = "main/backups/" + fullID + "/000001.pack"
	intact := st.Bytes(object)
	damaged := bytes.Clone(intact)
	damaged[400] ^= 1 // in the first frame of pages
	st.Damage(object, damaged)
	for id, want := range map[string]bool{fullID: false, incrID: false, last: true} {
		ok, problems := verify(t, c, id)
		if ok != want || len(problems) == 0 {
			t.Errorf("%s: ok %v, %q", id, ok, problems)
		}
		text := strings.Join(problems, "\n")
		if !strings.Contains(text, "backup "+fullID) || !strings.Contains(text, "for blocks from 0 to 1") {
			t.Errorf("%s: %s", id, text)
		}
	}
}
