package keys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
)

// Document is how a ring is stored: the two parts are age files of its JSON.
type Document struct {
	Format     int         `json:"format"`
	Cluster    string      `json:"cluster"`
	Serial     uint32      `json:"serial"`
	Recipients []Recipient `json:"recipients"`           // in clear; the parts repeat and prove them
	Passphrase []byte      `json:"passphrase,omitempty"` // age file (scrypt) of the private key of one recipient
	All        []byte      `json:"all"`                  // the whole ring
	Backup     []byte      `json:"backup"`               // without private halves
}

// Reasons why a document is not opened.
var (
	// ErrNoKey: no credentials were given.
	ErrNoKey = errors.New("no key was given")
	// ErrWrongKey: none of the credentials fits.
	ErrWrongKey = errors.New("wrong key")
	// ErrForged: it does not hold what whoever owns the keys wrote.
	ErrForged = errors.New("the keyring is damaged or forged")
)

// Open opens a document with what c has: the whole ring if it can.
func (d *Document) Open(ctx context.Context, c Credentials) (*Ring, error) {
	if !c.Given() {
		return nil, ErrNoKey
	}
	var with []age.Identity
	for _, id := range c.Identities {
		with = append(with, id.age)
	}
	ring, err := d.open(with)
	if c.Passphrase == nil || err == nil && ring.ReadsData() || err != nil && !errors.Is(err, ErrWrongKey) {
		return ring, err
	}
	if len(d.Passphrase) == 0 {
		return ring, err
	}
	phrase, perr := c.Passphrase(ctx)
	if perr != nil {
		return nil, perr
	}
	id, err := d.passphraseIdentity(phrase)
	if err != nil {
		return nil, err
	}
	return d.open([]age.Identity{id})
}

// maxScrypt bounds the work that a document can ask of a passphrase: 2^22 is 4 GiB and some ten
// seconds.
const maxScrypt = 22

// passphraseIdentity gives the key that the passphrase stands for.
func (d *Document) passphraseIdentity(phrase string) (age.Identity, error) {
	s, err := age.NewScryptIdentity(phrase)
	if err != nil {
		return nil, ErrWrongKey
	}
	s.SetMaxWorkFactor(maxScrypt)
	text, err := decrypt(d.Passphrase, s)
	var mismatch *age.NoIdentityMatchError
	if errors.As(err, &mismatch) {
		return nil, ErrWrongKey
	}
	if err != nil {
		return nil, fmt.Errorf("%w: passphrase: %w", ErrForged, err)
	}
	ids, err := ParseIdentities(text)
	if err != nil || len(ids) != 1 {
		return nil, fmt.Errorf("%w: passphrase", ErrForged)
	}
	return ids[0].age, nil
}

// open tries the whole ring first.
func (d *Document) open(with []age.Identity) (*Ring, error) {
	if len(with) == 0 {
		return nil, ErrWrongKey
	}
	for _, scope := range []Scope{All, Backup} {
		part := d.All
		if scope == Backup {
			part = d.Backup
		}
		plain, err := decrypt(part, with...)
		var mismatch *age.NoIdentityMatchError
		if errors.As(err, &mismatch) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrForged, err)
		}
		return d.ring(plain, scope)
	}
	return nil, ErrWrongKey
}

// ring reads a part and holds it against what stands around it.
func (d *Document) ring(plain []byte, scope Scope) (*Ring, error) {
	r := new(Ring)
	dec := json.NewDecoder(bytes.NewReader(plain))
	dec.DisallowUnknownFields()
	err := dec.Decode(r)
	if err == nil {
		if _, tail := dec.Token(); !errors.Is(tail, io.EOF) {
			err = errors.New("more than one document")
		}
	}
	if err == nil {
		err = r.verify()
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrForged, err)
	case r.Cluster != d.Cluster || r.Serial != d.Serial || !slices.Equal(r.Recipients, d.Recipients):
		return nil, fmt.Errorf("%w: what it says in clear is not what was wrapped", ErrForged)
	case r.ReadsData() != (scope == All):
		return nil, fmt.Errorf("%w: it is of another scope", ErrForged)
	}
	return r, nil
}

// Seal wraps the ring for its recipients. passphrase is the Document's, kept as it is.
func (r *Ring) Seal(passphrase []byte) (*Document, error) {
	if !r.ReadsData() {
		return nil, ErrNotPermitted
	}
	if err := r.verify(); err != nil {
		return nil, err
	}
	d := &Document{Cluster: r.Cluster, Serial: r.Serial, Recipients: r.Recipients, Passphrase: passphrase}
	var err error
	if d.All, err = r.wrap(All); err != nil {
		return nil, err
	}
	public := *r
	public.Generations = slices.Clone(r.Generations)
	for i := range public.Generations {
		public.Generations[i].Private = ""
	}
	d.Backup, err = public.wrap(Backup)
	return d, err
}

func (r *Ring) wrap(scope Scope) ([]byte, error) {
	to, err := recipientsOf(r.Recipients, scope)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return encrypt(plain, to...)
}
