package repo_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Whatever became of what the first attempt left, the second is right: each object damaged, cut off, emptied, gone, or
// exchanged for another of the same kind, of this backup or of another one.
func TestResumeDamaged(t *testing.T) {
	eachKey(t, func(t *testing.T, k keyedCluster) {
		ctx := t.Context()
		s := newTestState()
		for _, id := range []string{"20261122T083810Z-F", fullID} {
			leaveBehind(ctx, t, k.c, id, s)
		}
		whole := map[string][]byte{}
		for _, name := range k.st.Names() {
			whole[name] = k.st.Bytes(name)
		}
		s.change()
		prefix := "main/backups/" + fullID + "/"
		for name, data := range whole {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			other := whole[strings.Replace(name, fullID, "20261122T083810Z-F", 1)]
			damages := map[string][]byte{"cut off": data[:len(data)/2], "empty": {}, "gone": nil, "of another backup": other}
			for at := len(name) % 13; at < len(data); at += 1 + len(data)/4 {
				flipped := bytes.Clone(data)
				flipped[at] ^= 1 << (at % 8)
				damages[fmt.Sprintf("byte %d flipped", at)] = flipped
			}
			if i := strings.LastIndex(name, "."); strings.HasPrefix(name, prefix+"000001") {
				damages["another of the backup"] = whole[prefix+"000002"+name[i:]]
			}
			for what, damaged := range damages {
				for _, restored := range k.st.Names() {
					k.st.Damage(restored, nil)
				}
				for there, data := range whole {
					k.st.Damage(there, data)
				}
				k.st.Damage(name, damaged)
				m, err := complete(ctx, k.c, fullID, s, new(notices))
				if err != nil {
					t.Fatalf("%s %s: %v", name, what, err)
				}
				if m.TakenOver == nil || m.TakenOver.Frames == 0 {
					t.Errorf("%s %s: nothing is taken over", name, what)
				}
				rightBackup(t, k.reads, m.ID, s)
				if t.Failed() {
					t.Fatalf("%s %s", name, what)
				}
			}
		}
	})
}

// Wherever going on with a backup fails, what there is can be gone on with or is gone, and the next attempt is right.
func TestResumeFails(t *testing.T) {
	s := newTestState()
	changed := newTestState()
	changed.change()
	prepare := func(c *repo.Cluster) {
		b, err := interrupt(t.Context(), c, fullID, s)
		must(t, err)
		_, err = b.Leave(t.Context())
		must(t, err)
	}
	body := func(ctx context.Context, st repo.Store) error {
		c, err := repo.OpenCluster(ctx, st, "main")
		if err == nil {
			_, err = complete(ctx, c, fullID, changed, new(notices))
		}
		return err
	}
	eachFault(t, prepare, body, func(t *testing.T, c *repo.Cluster, failure error) {
		all, err := c.Backups(t.Context())
		must(t, err)
		for _, m := range all {
			rightBackup(t, c, m.ID, changed)
		}
		if failure == nil && len(all) != 1 {
			t.Error("the backup is not listed")
		}
		m, err := complete(t.Context(), c, "20261124T000000Z-F", changed, new(notices))
		must(t, err)
		rightBackup(t, c, m.ID, changed)
	})
}

// A list that is whole and wrong makes nothing wrong: frames under other paths and blocks, at other places, of other
// packs, with other hashes or checksums.
func TestResumeLyingLists(t *testing.T) {
	type files = []*repo.File
	frames := func(change func(f *repo.Frame)) func(files) files {
		return func(all files) files {
			for _, f := range all {
				for i := range f.Frames {
					change(&f.Frames[i])
				}
			}
			return all
		}
	}
	pages := func(change func(f *repo.Frame)) func(files) files {
		return frames(func(f *repo.Frame) {
			if f.HashIndex != repo.NoHashes {
				change(f)
			}
		})
	}
	rotate := func(all files) files { // the content of each file to the path of the next of its kind
		last := map[repo.FileKind]*repo.File{}
		for _, f := range all {
			if before := last[f.Kind]; before != nil {
				before.Frames, f.Frames = f.Frames, before.Frames
				before.Size, f.Size = f.Size, before.Size
			}
			last[f.Kind] = f
		}
		return all
	}
	nothing := []string{"no files", "offset", "stored", "sum", "pack", "no pack"}
	for name, lie := range map[string]func(files) files{
		"none":     func(all files) files { return all },
		"paths":    rotate,
		"no files": func(files) files { return nil },
		"offset":   frames(func(f *repo.Frame) { f.Offset += 8 }),
		"stored":   frames(func(f *repo.Frame) { f.Stored-- }),
		"sum":      frames(func(f *repo.Frame) { f.Sum++ }),
		"pack":     frames(func(f *repo.Frame) { f.Pack++ }),
		"no pack":  frames(func(f *repo.Frame) { f.Pack = 99 }),
		"hashes":   pages(func(f *repo.Frame) { f.HashIndex += 2 }),
		"far away": pages(func(f *repo.Frame) { f.HashIndex = repo.NoHashes - 1 }),
		"plain sums": func(all files) files {
			for _, f := range all {
				if f.Kind == repo.KindFile {
					f.Sum = xxhash.Sum64String(newTestState().plain["global/pg_filenode.map"])
				}
			}
			return all
		},
		"a directory": func(all files) files {
			return append(files{{Path: ".", Kind: repo.KindDir}}, all...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachKey(t, func(t *testing.T, k keyedCluster) {
				ctx := t.Context()
				s := newTestState()
				left := leaveBehind(ctx, t, k.c, fullID, s)
				for n := range left.Packs {
					must(t, k.reads.RewriteFiles(ctx, fullID, uint32(n)+1, lie))
				}
				m, err := complete(ctx, k.c, fullID, s, new(notices))
				must(t, err)
				rightBackup(t, k.reads, fullID, s)
				onlyListed(t, k.c, m)
				taken := m.TakenOver.Frames
				if name == "none" && taken < 20 || slices.Contains(nothing, name) && taken > 0 {
					t.Errorf("%d frames are taken over", taken)
				}
			})
		})
	}
}
