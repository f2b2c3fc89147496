package repo_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/pkg/repo"
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

// Every single byte of a backup's objects is covered: whichever is changed, in whichever bit, verifying reports it and
// names the object, and where reading depends on the byte, reading fails as well. Nothing wrong is ever read as right.
func TestEveryFlippedByteIsNoticed(t *testing.T) {
	st := newTestStore(t)
	c := newTestCluster(t, st)
	storeSmallChain(t, c)
	right, err := readAll(t.Context(), c, incrID)
	must(t, err)
	backups := filepath.Join(st.String(), "main", "backups")
	must(t, filepath.WalkDir(backups, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		intact, err := os.ReadFile(path)
		must(t, err)
		name, err := filepath.Rel(backups, path)
		must(t, err)
		step := 1
		if len(intact) > 6000 {
			step = 7 // the pack: header, frame headers and payloads are each hit many times
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(t, err)
		for i := 0; i < len(intact); i += step {
			_, err := f.WriteAt([]byte{intact[i] ^ 1<<(i%8)}, int64(i))
			must(t, err)
			expectDamage(t, c, name, i, right)
			_, err = f.WriteAt(intact[i:i+1], int64(i))
			must(t, err)
		}
		return f.Close()
	}))
	if ok, problems := verify(t, c, incrID); !ok {
		t.Errorf("after repair: %q", problems)
	}
}

// expectDamage checks what is said of one flipped byte of an object.
func expectDamage(t *testing.T, c *repo.Cluster, name string, at int, right map[string][]byte) {
	t.Helper()
	where := fmt.Sprintf("%s, byte %d", name, at)
	ok, problems := verify(t, c, incrID)
	if ok || len(problems) == 0 {
		// Only what the chain does not need of an older backup may leave this one whole, and it is reported.
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
	for path, data := range right {
		if !bytes.Equal(data, got[path]) {
			t.Errorf("%s: %s is read wrong without an error", where, path)
		}
	}
	object := filepath.Base(name)
	if strings.HasPrefix(name, incrID) && !strings.HasSuffix(object, ".hashes") && object != "000001.pack" {
		t.Errorf("%s: reading notices nothing", where)
	}
}
