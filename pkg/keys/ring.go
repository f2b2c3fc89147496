package keys

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
)

// SecretSize is the size of metadata secrets, data keys and derived keys in bytes.
const SecretSize = 32

// ID names a generation.
type ID [8]byte

// String gives 16 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText is for JSON.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what String gives, and nothing else.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) != 2*len(id) || !bytes.Equal(b, bytes.ToLower(b)) {
		return fmt.Errorf("generation %q: want %d hexadecimal digits", b, 2*len(id))
	}
	_, err := hex.Decode(id[:], b)
	return err
}

// Generation is one set of keys.
type Generation struct {
	ID       ID     `json:"id"`
	Metadata []byte `json:"metadata"` // SecretSize bytes
	Public   string `json:"public"`   // age recipient that data keys are wrapped for
	Private  string `json:"private,omitempty"`
}

// newGeneration makes one of random keys.
func newGeneration() (Generation, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return Generation{}, err
	}
	g := Generation{Metadata: make([]byte, SecretSize), Public: id.Recipient().String(), Private: id.String()}
	_, _ = rand.Read(g.ID[:]) // never fails
	_, _ = rand.Read(g.Metadata)
	return g, nil
}

// verify refuses what newGeneration does not make.
func (g *Generation) verify() error {
	if len(g.Metadata) != SecretSize {
		return fmt.Errorf("generation %s: secret of %d bytes", g.ID, len(g.Metadata))
	}
	if _, err := age.ParseX25519Recipient(g.Public); err != nil {
		return fmt.Errorf("generation %s: public key", g.ID)
	}
	if g.Private == "" {
		return nil
	}
	id, err := age.ParseX25519Identity(g.Private)
	if err != nil || id.Recipient().String() != g.Public {
		return fmt.Errorf("generation %s: private key", g.ID)
	}
	return nil
}

// Derive gives a key that nobody has without the metadata secret, nor without extra where that
// is not empty. salt is random, info says what it is for.
func (g *Generation) Derive(salt, extra []byte, info string) ([]byte, error) {
	return hkdf.Key(sha256.New, append(slices.Clone(g.Metadata), extra...), salt, info, SecretSize)
}

// NewDataKey makes a random key and wraps it for the holders of the private half: an age
// file of WrappedSize bytes.
func (g *Generation) NewDataKey() (key, wrapped []byte, err error) {
	to, err := age.ParseX25519Recipient(g.Public)
	if err != nil {
		return nil, nil, err
	}
	key = make([]byte, SecretSize)
	_, _ = rand.Read(key) // never fails
	wrapped, err = encrypt(key, to)
	if err == nil && len(wrapped) != WrappedSize {
		err = fmt.Errorf("wrapped key of %d bytes, want %d", len(wrapped), WrappedSize)
	}
	return key, wrapped, err
}

// WrappedSize is the size of a wrapped data key.
const WrappedSize = 232

// ErrNotPermitted: the ring was opened with a key of scope Backup.
var ErrNotPermitted = errors.New("this key takes backups and cannot read data")

// DataKey unwraps a data key. Without the private half it is ErrNotPermitted.
func (g *Generation) DataKey(wrapped []byte) ([]byte, error) {
	if g.Private == "" {
		return nil, ErrNotPermitted
	}
	id, err := age.ParseX25519Identity(g.Private)
	if err != nil {
		return nil, fmt.Errorf("generation %s: private key", g.ID)
	}
	key, err := decrypt(wrapped, id)
	if err == nil && len(key) != SecretSize {
		err = fmt.Errorf("data key of %d bytes", len(key))
	}
	return key, err
}

// Ring is the opened keys of a cluster.
type Ring struct {
	Cluster     string       `json:"cluster"`
	Serial      uint32       `json:"serial"` // counts changes, from 1
	Recipients  []Recipient  `json:"recipients"`
	Generations []Generation `json:"generations"` // the newest last
}

// Current is the generation of new objects.
func (r *Ring) Current() *Generation { return &r.Generations[len(r.Generations)-1] }

// Generation finds one by its name, or gives nil.
func (r *Ring) Generation(id ID) *Generation {
	for i := range r.Generations {
		if r.Generations[i].ID == id {
			return &r.Generations[i]
		}
	}
	return nil
}

// ReadsData says whether pages and WAL can be read, and the ring be changed.
func (r *Ring) ReadsData() bool { return r.Generations[0].Private != "" }

// maxGenerations bounds a ring.
const maxGenerations = 10_000

// verify refuses what no ring is.
func (r *Ring) verify() error {
	if len(r.Generations) == 0 || len(r.Generations) > maxGenerations || r.Serial == 0 {
		return fmt.Errorf("ring %d of %d generations", r.Serial, len(r.Generations))
	}
	reads := r.Generations[0].Private != ""
	for i := range r.Generations {
		g := &r.Generations[i]
		if err := g.verify(); err != nil {
			return err
		}
		if (g.Private != "") != reads || r.Generation(g.ID) != g {
			return fmt.Errorf("generation %s does not fit the others", g.ID)
		}
	}
	return verifyRecipients(r.Recipients)
}

// encrypt gives an age file.
func encrypt(plain []byte, to ...age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// maxPlain bounds what an age file may hold.
const maxPlain = 16 << 20

// decrypt reads an age file.
func decrypt(file []byte, with ...age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(file), with...)
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxPlain+1))
	if err == nil && len(plain) > maxPlain {
		err = fmt.Errorf("more than %d bytes", maxPlain)
	}
	return plain, err
}
