package repo

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/keys"
)

// EncryptedFormat is the format of encrypted objects and documents.
const EncryptedFormat = 2

// secretDocument is a sealed document that holds another one, encrypted.
type secretDocument struct {
	Format     int     `json:"format"`
	Generation keys.ID `json:"generation"`
	Salt       []byte  `json:"salt"`
	Sealed     []byte  `json:"sealed"`
}

// conceal encrypts the sealed document that will be stored as name, if the cluster is encrypted.
func (v *vault) conceal(name string, data []byte) ([]byte, error) {
	if v == nil {
		return data, nil
	}
	g := v.ring.Current()
	d := secretDocument{Format: EncryptedFormat, Generation: g.ID, Salt: make([]byte, saltSize)}
	_, _ = rand.Read(d.Salt) // never fails
	key, err := g.Derive(d.Salt, nil, documentInfo(name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	n := nonce(0) // the key is used once
	d.Sealed = aead.Seal(nil, n[:], data, nil)
	return seal(d)
}

// documentInfo says what the key of a document is for.
func documentInfo(name string) string { return "pgincr document\x00" + name }

// reveal undoes conceal.
func (v *vault) reveal(name string, data []byte) ([]byte, error) {
	format, _ := sealedFormat(data)
	if v == nil {
		if format == EncryptedFormat {
			return nil, fmt.Errorf("%s: %w: it is encrypted, which its cluster is not", name, ErrCorrupt)
		}
		return data, nil
	}
	if format == FormatVersion {
		return nil, fmt.Errorf("%s: %w: it is not encrypted, as all of its cluster is", name, ErrCorrupt)
	}
	var d secretDocument
	if err := unsealFormat(data, EncryptedFormat, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	g := v.ring.Generation(d.Generation)
	if g == nil {
		return nil, fmt.Errorf("%s: %w: the keyring has no generation %s", name, ErrCorrupt, d.Generation)
	}
	key, err1 := g.Derive(d.Salt, nil, documentInfo(name))
	aead, err2 := newAEAD(key)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	n := nonce(0)
	plain, err := aead.Open(nil, n[:], d.Sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: it cannot be decrypted, it was not written with the keys of this cluster",
			name, ErrCorrupt)
	}
	return plain, nil
}
