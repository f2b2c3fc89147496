package repo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/keys"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

const encryptedGoldenDir = "testdata/golden-encrypted"

// goldenCredentials are the keys of the golden encrypted cluster; they protect nothing else.
func goldenCredentials(t *testing.T, file string) keys.Credentials {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(encryptedGoldenDir, file))
	must(t, err)
	ids, err := keys.ParseIdentities(data)
	must(t, err)
	return keys.Credentials{Identities: ids}
}

const goldenPassphrase = "golden passphrase"

// writeEncryptedGolden makes the golden files of format 2 once and for all: no two are alike.
func writeEncryptedGolden(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	must(t, os.MkdirAll(encryptedGoldenDir, 0o755))
	st, err := repo.OpenStore(ctx, encryptedGoldenDir)
	must(t, err)
	var recipients []keys.Recipient
	for _, scope := range []keys.Scope{keys.All, keys.Backup} {
		file, public, err := keys.Generate()
		must(t, err)
		must(t, os.WriteFile(filepath.Join(encryptedGoldenDir, string(scope)+".key"), file, 0o600))
		r, err := keys.ParseRecipient(public, scope)
		must(t, err)
		recipients = append(recipients, r)
	}
	_, _, err = repo.Init(ctx, st, goldenInfo(),
		repo.WithEncryption(repo.Encryption{Recipients: recipients, Passphrase: goldenPassphrase}))
	must(t, err)
	with := repo.WithCredentials(goldenCredentials(t, "all.key"))
	must(t, writeGolden(ctx, st, zstd, with))
	c, err := repo.OpenCluster(ctx, st, "main", with)
	must(t, err)
	must(t, c.ChangeRing(ctx, (*keys.Ring).Rotate))
	c, err = repo.OpenCluster(ctx, st, "main", with)
	must(t, err)
	for name, z := range goldenCompressed() {
		must(t, c.WAL(z).Put(ctx, name, bytes.NewReader(compressible)))
	}
}

// Every later version reads the encrypted repositories of format 2, by key and by passphrase.
func TestEncryptedGoldenRead(t *testing.T) {
	if _, err := os.Stat(encryptedGoldenDir); *update && errors.Is(err, os.ErrNotExist) {
		writeEncryptedGolden(t)
	}
	st := encryptedGolden(t)
	for name, with := range map[string]keys.Credentials{
		"key": goldenCredentials(t, "all.key"), "passphrase": passphrase(goldenPassphrase),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := repo.OpenCluster(t.Context(), st, "main", repo.WithCredentials(with))
			must(t, err)
			readGolden(t, c)
		})
	}
	c, err := repo.OpenCluster(t.Context(), st, "main", repo.WithCredentials(goldenCredentials(t, "backup.key")))
	must(t, err)
	notPermitted(t, "backup key", c.VerifyReadsData())
}

// encryptedGolden is a copy of the golden files in memory.
func encryptedGolden(t *testing.T) *storetest.Memory {
	t.Helper()
	st := storetest.NewMemory()
	root := os.DirFS(encryptedGoldenDir)
	must(t, fsWalk(root, func(name string, data []byte) error {
		w, err := st.Create(t.Context(), name)
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
			return err
		}
		return w.Commit(t.Context())
	}))
	return st
}

// No flipped byte of an encrypted chain goes unnoticed, and none makes it read as something else.
func TestEncryptedFlips(t *testing.T) {
	ctx := t.Context()
	st := encryptedGolden(t)
	with := repo.WithCredentials(goldenCredentials(t, "all.key"))
	c, err := repo.OpenCluster(ctx, st, "main", with)
	must(t, err)
	right := map[string]map[string][]byte{}
	for _, id := range []string{fullID, incrID} {
		right[id], err = readAll(ctx, c, id)
		must(t, err)
	}
	for _, object := range st.Names() {
		intact := st.Bytes(object)
		for i := range intact {
			damaged := bytes.Clone(intact)
			damaged[i] ^= 1 << (i % 8)
			st.Damage(object, damaged)
			if err := readFlipped(ctx, st, c, with, object, right); err == nil {
				t.Errorf("%s, byte %d of %d: nothing is noticed", object, i, len(intact))
			}
		}
		st.Damage(object, intact)
	}
}

// readFlipped reads what depends on an object and gives what is said of it.
func readFlipped(
	ctx context.Context, st repo.Store, c *repo.Cluster, with repo.Option, object string,
	right map[string]map[string][]byte,
) error {
	name := strings.TrimPrefix(object, "main/")
	dir, _, _ := strings.Cut(name, "/")
	base := filepath.Base(object)
	switch dir {
	case "cluster.json", "keys":
		_, err := repo.OpenCluster(ctx, st, "main", with)
		return err
	case "wal":
		_, err := readWAL(ctx, c.WAL(zstd).Open, base)
		return err
	case "maps":
		_, err := c.WAL(zstd).GetMap(ctx, base)
		return err
	}
	id := strings.Split(name, "/")[1]
	got, err := readAll(ctx, c, id)
	if err == nil {
		if d := cmp.Diff(right[id], got); d != "" {
			panic(object + ": read wrong without an error: " + d)
		}
		// What a restore does not read is the end of packs and page hashes; verify does.
		return firstProblem(ctx, c, id)
	}
	return err
}

// firstProblem is what verify finds.
func firstProblem(ctx context.Context, c *repo.Cluster, id string) error {
	m, err := c.Backup(ctx, id)
	if err != nil {
		return err
	}
	var first error
	v := c.NewVerifier(1, func(p repo.Problem) {
		if first == nil {
			first = p.Err
		}
	})
	_, err = v.Backup(ctx, m)
	return errors.Join(first, err)
}
