package repo_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/pkg/keys"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// Rotation, new and removed recipients and passphrases touch nothing but the keyring: what was
// stored before is read as before, and who was removed reads nothing more.
func TestChangeRing(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	e := newEncrypted(t, st, testInfo())
	storeSmallChain(t, e.owner)
	before := map[string][]byte{}
	for _, n := range st.Names() {
		if !strings.HasPrefix(n, "main/keys/") {
			before[n] = st.Bytes(n)
		}
	}
	colleague, colleagueR := keyPair(t, keys.All)
	change := func(f func(*keys.Ring, *keys.Document) (*keys.Document, error)) {
		t.Helper()
		must(t, e.owner.ChangeRing(t.Context(), f))
		e.owner = e.open(t, e.all)
	}
	change(func(r *keys.Ring, d *keys.Document) (*keys.Document, error) { return r.Add(d, colleagueR) })
	change((*keys.Ring).Rotate)
	must(t, e.open(t, colleague).VerifyReadsData())
	const third = "20261123T083812Z-I"
	_, err := store(ctx, e.open(t, e.host), testManifest(third, incrID, 0x4000028), smallIncr)
	must(t, err)
	change(func(r *keys.Ring, d *keys.Document) (*keys.Document, error) { return r.Remove(d, e.host1.Key[:20]) })
	if _, err := repo.OpenCluster(ctx, st, "main", repo.WithCredentials(e.host)); !errors.Is(err, keys.ErrWrongKey) {
		t.Errorf("removed: %v", err)
	}
	const phrase = "correct horse battery"
	change(func(r *keys.Ring, _ *keys.Document) (*keys.Document, error) { return r.SetPassphrase(phrase) })
	byPhrase := e.open(t, passphrase(phrase))
	wrong := repo.WithCredentials(passphrase("wrong horse battery"))
	if _, err := repo.OpenCluster(ctx, st, "main", wrong); !errors.Is(err, keys.ErrWrongKey) {
		t.Errorf("wrong passphrase: %v", err)
	}
	for _, c := range []*repo.Cluster{byPhrase, e.owner} {
		for _, id := range []string{incrID, third} {
			if ok, problems := verify(t, c, id); !ok {
				t.Errorf("%s: %q", id, problems)
			}
		}
	}
	for n, data := range before {
		if !bytes.Equal(data, st.Bytes(n)) {
			t.Errorf("%s was changed", n)
		}
	}
	found, err := st.List(ctx, "main/keys/", true)
	must(t, err)
	if len(found) != 1 {
		t.Errorf("%d documents are left", len(found))
	}
	if err := e.owner.ChangeRing(ctx, func(r *keys.Ring, d *keys.Document) (*keys.Document, error) {
		return r.Remove(d, "age1")
	}); err == nil {
		t.Error("removed an ambiguous recipient")
	}
}

// Wherever changing the keyring fails, its keys of before or after open the cluster, and the next change succeeds.
func TestChangeRingFails(t *testing.T) {
	who, recipient := keyPair(t, keys.All)
	prepare := func(st repo.Store) {
		_, _, err := repo.Init(t.Context(), st, testInfo(),
			repo.WithEncryption(repo.Encryption{Recipients: []keys.Recipient{recipient}}))
		must(t, err)
	}
	for _, mode := range faultModes {
		for n := 1; ; n++ {
			st := storetest.NewMemory()
			prepare(st)
			faults := storetest.NewFaults(st, mode, n)
			c, err := repo.OpenCluster(t.Context(), faults, "main", repo.WithCredentials(who))
			if err == nil {
				err = c.ChangeRing(t.Context(), (*keys.Ring).Rotate)
			}
			var old *repo.OldRingError
			again, openErr := repo.OpenCluster(t.Context(), st, "main", repo.WithCredentials(who))
			must(t, openErr)
			if got := len(again.Ring().Generations); (err == nil || errors.As(err, &old)) && got != 2 {
				t.Errorf("%s, operation %d: %d generations, %v", mode, n, got, err)
			}
			must(t, again.ChangeRing(t.Context(), (*keys.Ring).Rotate))
			if !faults.Fired() {
				must(t, err)
				break
			}
		}
	}
}

// Two who change the keyring at a time: one of them is told.
func TestChangeRingTwice(t *testing.T) {
	e := newEncrypted(t, newTestStore(t), testInfo())
	second := e.open(t, e.all)
	must(t, e.owner.ChangeRing(t.Context(), (*keys.Ring).Rotate))
	err := second.ChangeRing(t.Context(), (*keys.Ring).Rotate)
	if err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Error(err)
	}
}
