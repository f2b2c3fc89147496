package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/keys"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// The cluster of these tests: plain files by path, and relations of which every block has a version.
type testState struct {
	plain     map[string]string
	relations map[string][]uint64
}

func newTestState() *testState {
	s := &testState{
		plain: map[string]string{
			"PG_VERSION": "15\n", "global/pg_filenode.map": strings.Repeat("m", 512),
			"pg_xact/0000": strings.Repeat("commits ", 400_000), // of four frames
		},
		relations: map[string][]uint64{},
	}
	for rel := range 4 {
		s.relations[fmt.Sprintf("base/5/%d", 16384+rel)] = make([]uint64, 20+rel)
	}
	return s
}

// change is what happens between the attempts.
func (s *testState) change() {
	s.relations["base/5/16384"][3] = 7
	s.relations["base/5/16385"] = append(s.relations["base/5/16385"], 8, 8)
	s.relations["base/5/16386"] = append(s.relations["base/5/16386"][:2:2], 9, 9, 9) // truncated and grown
	delete(s.relations, "base/5/16387")
	s.plain["PG_VERSION"] = "16\n" // of the same size
}

// page is a block's content; relations differ.
func (s *testState) page(path string, blk pg.BlockNumber) pg.Page {
	return testPage(xxhash.Sum64String(path)<<40 | s.relations[path][blk]<<32 | uint64(blk))
}

func (s *testState) paths() []string {
	var all []string
	for path := range s.plain {
		all = append(all, path)
	}
	for path := range s.relations {
		all = append(all, path)
	}
	slices.SortFunc(all, pg.ComparePaths)
	return all
}

// want is what a restore gives.
func (s *testState) want() map[string][]byte {
	all := map[string][]byte{"control": bytes.Repeat([]byte{7}, pg.ControlFileSize), walSeg: make([]byte, 70_000)}
	for path, text := range s.plain {
		all[path] = []byte(text)
	}
	for path, blocks := range s.relations {
		for blk := range blocks {
			all[path] = append(all[path], s.page(path, pg.BlockNumber(blk))...)
		}
	}
	return all
}

// copyState does what an engine does: reads all and takes over what is the same.
func copyState(ctx context.Context, b *repo.BackupWriter, w *repo.PackWriter, s *testState) ([]*repo.File, error) {
	before := map[string][]*repo.File{}
	if e := b.Earlier(); e != nil {
		last := ""
		for f, err := range e.Files(ctx) {
			if err != nil {
				return nil, err
			}
			if last != "" && pg.ComparePaths(last, f.Path) >= 0 {
				return nil, fmt.Errorf("%s after %s", f.Path, last)
			}
			last = f.Path
			before[f.Path] = f.Versions
		}
	}
	var files []*repo.File
	for _, path := range s.paths() {
		var f *repo.File
		var err error
		if text, ok := s.plain[path]; ok {
			f, err = copyPlain(ctx, b, w, path, []byte(text), before[path])
		} else {
			f, err = copyRelation(ctx, b, w, s, path, before[path])
		}
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func copyPlain(
	ctx context.Context, b *repo.BackupWriter, w *repo.PackWriter, path string, data []byte, before []*repo.File,
) (*repo.File, error) {
	for _, v := range before {
		if v.Kind != repo.KindFile || v.Size != int64(len(data)) || v.Sum != xxhash.Sum64(data) {
			continue
		}
		ok, err := b.Earlier().TakeFile(ctx, v)
		if ok || err != nil {
			return v, err
		}
	}
	f, err := plain(ctx, w, path, data)
	if err != nil {
		return nil, err
	}
	return f, w.Holds(ctx, f)
}

// copyRelation writes frames of two pages.
func copyRelation(
	ctx context.Context, b *repo.BackupWriter, w *repo.PackWriter, s *testState, path string, before []*repo.File,
) (*repo.File, error) {
	n := pg.BlockNumber(len(s.relations[path]))
	f := &repo.File{Path: path, Kind: repo.KindRelation, Whole: true, Size: int64(n) * 8192}
	for blk := pg.BlockNumber(0); blk < n; blk += 2 {
		var raw []byte
		var hashes []uint64
		in := run(blk, min(2, n-blk))
		for i := range in.Count {
			p := s.page(path, blk+i)
			raw, hashes = append(raw, p...), append(hashes, repo.PageHash(p))
		}
		fr, err := takeFrame(ctx, b, in, hashes, before)
		if err != nil {
			return nil, err
		}
		if fr == nil {
			written, err := w.WriteFrame(ctx, raw, hashes)
			if err != nil {
				return nil, err
			}
			written.Runs = []repo.BlockRun{in}
			err = w.Holds(ctx, &repo.File{Path: path, Kind: repo.KindRelation, Frames: []repo.Frame{written}})
			if err != nil {
				return nil, err
			}
			fr = &written
		}
		f.Frames = append(f.Frames, *fr)
	}
	return f, nil
}

func takeFrame(
	ctx context.Context, b *repo.BackupWriter, in repo.BlockRun, hashes []uint64, before []*repo.File,
) (*repo.Frame, error) {
	for _, v := range before {
		if v.Kind != repo.KindRelation {
			continue
		}
		stored, err := b.Earlier().Hashes(ctx, v.Frames)
		if err != nil {
			return nil, err
		}
		for i := range v.Frames {
			if !slices.Equal(v.Frames[i].Runs, []repo.BlockRun{in}) || !slices.Equal(stored[i], hashes) {
				continue
			}
			if ok, err := b.Earlier().Take(ctx, &v.Frames[i]); ok || err != nil {
				return &v.Frames[i], err
			}
		}
	}
	return nil, nil
}

// notices collects what is told of earlier attempts.
type notices struct {
	mu   sync.Mutex
	errs []error
}

func (n *notices) add(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.errs = append(n.errs, err)
}

const testPackSize = 20_000

// interrupt writes what a backup of s that is interrupted after its last file leaves.
func interrupt(ctx context.Context, c *repo.Cluster, id string, s *testState) (*repo.BackupWriter, error) {
	b, err := c.CreateBackup(ctx, id, zstd)
	if err != nil {
		return nil, err
	}
	b.SetPackSize(testPackSize)
	_, err = copyState(ctx, b, b.NewPackWriter(), s)
	return b, errors.Join(err, b.PutWAL(ctx, walSeg, strings.NewReader("cut off")))
}

// leaveBehind lets a backup of s be interrupted, in a way in which it ends by itself, and tells what it left.
func leaveBehind(ctx context.Context, t testing.TB, c *repo.Cluster, id string, s *testState) repo.Left {
	t.Helper()
	b, err := interrupt(ctx, c, id, s)
	must(t, err)
	left, err := b.Leave(ctx)
	must(t, err)
	return left
}

// resumable gives the id under which the next backup of the type goes on, or "".
func resumable(ctx context.Context, t testing.TB, c *repo.Cluster, kind string) string {
	t.Helper()
	ids, err := c.BackupIDs(ctx)
	must(t, err)
	id, err := c.Resumable(ctx, ids, kind)
	must(t, err)
	return id
}

// complete takes a backup of s as an engine does: it goes on with what there is, or begins anew.
func complete(ctx context.Context, c *repo.Cluster, id string, s *testState, n *notices) (m *repo.Manifest, err error) {
	_, kind, _ := repo.ParseID(id)
	b, err := c.ResumeBackup(ctx, kind, zstd, n.add)
	if b == nil && err == nil {
		b, err = c.CreateBackup(ctx, id, zstd)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Abort(ctx))
		}
	}()
	b.SetPackSize(testPackSize)
	w := b.NewPackWriter()
	files, err := copyState(ctx, b, w, s)
	if err != nil {
		return nil, err
	}
	if err := closeWith(ctx, b, w, files); err != nil {
		return nil, err
	}
	m = testManifest(b.ID(), "", 0x2000028)
	if err := b.Commit(ctx, m); err != nil {
		return nil, err
	}
	return m, b.Tidy(ctx)
}

// rightBackup checks a backup of s with a key that reads it.
func rightBackup(t testing.TB, c *repo.Cluster, id string, s *testState) {
	t.Helper()
	if ok, problems := verify(t, c, id); !ok {
		t.Errorf("verify: %q", problems)
	}
	got, err := readAll(t.Context(), c, id)
	if err != nil {
		t.Error(err)
	}
	for path, want := range s.want() {
		if !bytes.Equal(want, got[path]) {
			t.Errorf("%s is not what it was", path)
		}
	}
	if len(got) != len(s.want()) {
		t.Errorf("%d files, want %d", len(got), len(s.want()))
	}
}

// onlyListed checks that a backup has no objects but those that its manifest lists.
func onlyListed(t testing.TB, c *repo.Cluster, m *repo.Manifest) {
	t.Helper()
	there, err := c.BackupObjects(t.Context())
	must(t, err)
	want := []string{"manifest.json"}
	for _, o := range m.Objects {
		want = append(want, o.Name)
	}
	var got []string
	for _, o := range there[m.ID] {
		got = append(got, o.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("objects (-listed +there):\n%s", d)
	}
}

// keyedCluster is a cluster as one key sees it, and as one that reads everything does.
type keyedCluster struct {
	st       *storetest.Memory
	c, reads *repo.Cluster
}

// eachKey runs test on clusters in clear, encrypted, and encrypted with a key that cannot read backups.
func eachKey(t *testing.T, test func(t *testing.T, k keyedCluster)) {
	t.Run("clear", func(t *testing.T) {
		st := storetest.NewMemory()
		c := newTestCluster(t, st)
		test(t, keyedCluster{st, c, c})
	})
	for _, scope := range []keys.Scope{keys.All, keys.Backup} {
		t.Run("key "+string(scope), func(t *testing.T) {
			st := storetest.NewMemory()
			e := newEncrypted(t, st, testInfo())
			k := keyedCluster{st, e.open(t, e.all), e.open(t, e.all)}
			if scope == keys.Backup {
				k.c = e.open(t, e.host)
			}
			test(t, k)
		})
	}
}
