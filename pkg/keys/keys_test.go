package keys_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/pgincr/pgincr/pkg/keys"
)

func pair(t testing.TB, scope keys.Scope) (keys.Credentials, keys.Recipient) {
	t.Helper()
	file, public, err := keys.Generate()
	must(t, err)
	ids, err := keys.ParseIdentities(file)
	must(t, err)
	r, err := keys.ParseRecipient(public, scope)
	must(t, err)
	return keys.Credentials{Identities: ids}, r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A ring is opened whole by who may read everything, without private halves by who takes
// backups, and by nobody else.
func TestScopes(t *testing.T) {
	all, allR := pair(t, keys.All)
	host, hostR := pair(t, keys.Backup)
	stranger, _ := pair(t, keys.All)
	ring, d, err := keys.New("main", []keys.Recipient{allR, hostR}, "")
	must(t, err)
	whole, err := d.Open(t.Context(), all)
	must(t, err)
	part, err := d.Open(t.Context(), host)
	must(t, err)
	if !whole.ReadsData() || part.ReadsData() {
		t.Error("scopes")
	}
	if _, err := d.Open(t.Context(), stranger); !errors.Is(err, keys.ErrWrongKey) {
		t.Error(err)
	}
	if _, err := d.Open(t.Context(), keys.Credentials{}); !errors.Is(err, keys.ErrNoKey) {
		t.Error(err)
	}
	key, wrapped, err := part.Current().NewDataKey()
	must(t, err)
	if got, err := whole.Current().DataKey(wrapped); err != nil || !bytes.Equal(got, key) {
		t.Errorf("%x, %v", got, err)
	}
	if _, err := part.Current().DataKey(wrapped); !errors.Is(err, keys.ErrNotPermitted) {
		t.Error(err)
	}
	if _, err := part.Rotate(d); !errors.Is(err, keys.ErrNotPermitted) {
		t.Error(err)
	}
	if _, err := ring.Remove(d, allR.Key); err == nil {
		t.Error("removed the last who can read")
	}
	if _, err := ring.Add(d, hostR); err == nil {
		t.Error("added twice")
	}
}

// What stands in a document in clear cannot be changed by who has no key, so that nobody adds himself.
func TestForgedDocument(t *testing.T) {
	all, allR := pair(t, keys.All)
	_, forger := pair(t, keys.All)
	_, d, err := keys.New("main", []keys.Recipient{allR}, "")
	must(t, err)
	forgeries := map[string]func(*keys.Document){
		"recipient": func(d *keys.Document) { d.Recipients = append(d.Recipients, forger) },
		"serial":    func(d *keys.Document) { d.Serial = 9 },
		"cluster":   func(d *keys.Document) { d.Cluster = "other" },
		"parts":     func(d *keys.Document) { d.All = d.Backup },
		"garbage":   func(d *keys.Document) { d.All = []byte("age-encryption.org/v1\n") },
	}
	for name, forge := range forgeries {
		f := *d
		forge(&f)
		if _, err := f.Open(t.Context(), all); !errors.Is(err, keys.ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// SSH keys serve as well.
func TestSSH(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	sshPublic, err := ssh.NewPublicKey(public)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	r, err := keys.ParseRecipient(strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPublic)))+" dba@host", keys.All)
	must(t, err)
	if r.Name != "dba@host" {
		t.Errorf("%+v", r)
	}
	_, d, err := keys.New("main", []keys.Recipient{r}, "")
	must(t, err)
	ids, err := keys.ParseIdentities(pem.EncodeToMemory(block))
	must(t, err)
	ring, err := d.Open(t.Context(), keys.Credentials{Identities: ids})
	must(t, err)
	if !ring.ReadsData() {
		t.Error("not whole")
	}
}

// The passphrase is asked for only when no identity opens everything.
func TestPassphrase(t *testing.T) {
	all, allR := pair(t, keys.All)
	asked := 0
	ask := func(context.Context) (string, error) { asked++; return "correct horse battery", nil }
	_, d, err := keys.New("main", []keys.Recipient{allR}, "correct horse battery")
	must(t, err)
	all.Passphrase = ask
	_, err = d.Open(t.Context(), all)
	must(t, err)
	if asked != 0 {
		t.Error("asked although a key fits")
	}
	ring, err := d.Open(t.Context(), keys.Credentials{Passphrase: ask})
	must(t, err)
	d, err = ring.Remove(d, keys.PassphraseName)
	must(t, err)
	if _, err := d.Open(t.Context(), keys.Credentials{Passphrase: ask}); !errors.Is(err, keys.ErrWrongKey) {
		t.Errorf("removed: %v", err)
	}
	if _, _, err := keys.New("main", nil, "short"); err == nil {
		t.Error("a short one is accepted")
	}
}

func TestRefused(t *testing.T) {
	for _, s := range []string{"", "age1", "AGE-SECRET-KEY-1", "ssh-ed25519", "ssh-dss AAAA", "age1pq1xyz"} {
		if r, err := keys.ParseRecipient(s, keys.All); err == nil {
			t.Errorf("recipient %q: %+v", s, r)
		}
		if _, err := keys.ParseIdentities([]byte(s)); err == nil || strings.Contains(err.Error(), "SECRET-KEY-1Q") {
			t.Errorf("identity %q: %v", s, err)
		}
	}
}

// A document is refused or opened, and never more than it was made with; the text that says why quotes no key.
func FuzzDocument(f *testing.F) {
	all, allR := pair(f, keys.All)
	_, d, err := keys.New("main", []keys.Recipient{allR}, "")
	must(f, err)
	seed, err := json.Marshal(d)
	must(f, err)
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		d := new(keys.Document)
		if json.Unmarshal(data, d) != nil {
			return
		}
		ring, err := d.Open(t.Context(), all)
		if err == nil && (ring.Cluster != "main" || ring.Serial != 1) ||
			err != nil && !errors.Is(err, keys.ErrForged) && !errors.Is(err, keys.ErrWrongKey) {
			t.Fatalf("%+v, %v", ring, err)
		}
	})
}
