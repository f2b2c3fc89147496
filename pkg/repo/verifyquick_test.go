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

// unread is a store whose packs, hashes and WAL nobody may open.
type unread struct {
	*storetest.Memory
	t testing.TB
}

func (s unread) Open(ctx context.Context, name string) (repo.ObjectReader, error) {
	if base := path.Base(name); base != "index" && path.Ext(base) != ".json" {
		s.t.Errorf("%s was opened", name)
	}
	return s.Memory.Open(ctx, name)
}

// verifyQuick verifies a backup without reading packs.
func verifyQuick(t testing.TB, st *storetest.Memory, id string) (ok bool, problems []string) {
	t.Helper()
	c, err := repo.OpenCluster(t.Context(), unread{st, t}, "main")
	must(t, err)
	m, err := c.Backup(t.Context(), id)
	if err != nil {
		return false, []string{err.Error()}
	}
	v := c.NewQuickVerifier(2, func(p repo.Problem) { problems = append(problems, p.String()) })
	ok, err = v.Backup(t.Context(), m)
	must(t, err)
	return ok, problems
}

// A quick look finds nothing wrong with what is whole, and opens no pack.
func TestQuickIntact(t *testing.T) {
	st := storetest.NewMemory()
	storeChain(t, newTestCluster(t, st))
	if ok, problems := verifyQuick(t, st, repo.Latest); !ok || len(problems) > 0 {
		t.Errorf("%q", problems)
	}
}

// Whatever object is missing or of another size, and whatever byte of a manifest or index is wrong, is noticed
// and named.
func TestQuickNotices(t *testing.T) {
	st := storetest.NewMemory()
	storeSmallChain(t, newTestCluster(t, st))
	for _, object := range st.Names() {
		name, ok := strings.CutPrefix(object, "main/backups/")
		if !ok {
			continue
		}
		id, file, _ := strings.Cut(name, "/")
		intact := st.Bytes(object)
		cases := map[string][]byte{
			"missing": nil, "empty": {}, "cut off": intact[: len(intact)-1 : len(intact)-1],
			"longer": append(bytes.Clone(intact), 0),
		}
		if file == "index" || path.Ext(file) == ".json" {
			for i := range intact {
				damaged := bytes.Clone(intact)
				damaged[i] ^= 1 << (i % 8)
				cases[fmt.Sprint("byte ", i)] = damaged
			}
		}
		for what, data := range cases {
			st.Damage(object, data)
			ok, problems := verifyQuick(t, st, incrID)
			text := strings.Join(problems, "\n")
			if len(problems) == 0 || !strings.Contains(text, id) || path.Ext(file) != ".json" && !strings.Contains(text, file) {
				t.Errorf("%s %s: %q", name, what, problems)
			}
			// The end of an index matters to its own backup only.
			older := id == fullID && file == "index" && strings.HasPrefix(what, "byte ")
			if ok && !older {
				t.Errorf("%s %s: the backup passes as whole", name, what)
			}
		}
		st.Damage(object, intact)
	}
}

// An index that places a frame behind the end of its pack is noticed without looking there.
func TestQuickHoldsFramesAgainstPacks(t *testing.T) {
	st := storetest.NewMemory()
	_, err := store(t.Context(), newTestCluster(t, st), testManifest(fullID, "", 0x2000028),
		func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
			f, err := plain(ctx, w, "PG_VERSION", []byte("15\n"))
			f.Frames[0].Offset++
			return []*repo.File{f}, err
		})
	must(t, err)
	ok, problems := verifyQuick(t, st, fullID)
	if ok || !strings.Contains(strings.Join(problems, "\n"), "no frame can be there") {
		t.Errorf("ok %v, %q", ok, problems)
	}
}
