package repo

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	"github.com/pgincr/pgincr/pkg/keys"
)

// vault encrypts and decrypts the objects of one cluster. Safe for concurrent use.
type vault struct {
	ring     *keys.Ring
	systemID uint64 // 0 until the entry was read
}

// KeyError: an encrypted cluster cannot be opened, or not read as far as is needed, with
// the keys that were given. Reason is keys.ErrNoKey, ErrWrongKey or ErrNotPermitted, or ErrNotEncrypted.
type KeyError struct {
	Cluster string
	Reason  error
}

func (e *KeyError) Error() string {
	switch {
	case errors.Is(e.Reason, ErrNotEncrypted):
		return fmt.Sprintf("cluster %s: a key was given, but its entry in the repository is not encrypted", e.Cluster)
	case errors.Is(e.Reason, keys.ErrNotPermitted):
		return fmt.Sprintf("cluster %s: %s", e.Cluster, e.Reason)
	}
	return fmt.Sprintf("cluster %s: it is encrypted: %s", e.Cluster, e.Reason)
}

func (e *KeyError) Unwrap() error { return e.Reason }

// ErrNotEncrypted: keys were given for an entry that has none. Nothing must be written
// there in clear that was meant to be secret.
var ErrNotEncrypted = errors.New("not encrypted")

// create makes the keys of a new object: what stands between its header, head, and
// the first frame, and what binds its frames. name is the object's in the store.
func (v *vault) create(kind objectKind, name string, head []byte) ([]byte, *binding, error) {
	g := v.ring.Current()
	k := keyBlock{Generation: g.ID, Class: kind.class()}
	_, _ = rand.Read(k.Salt[:]) // never fails
	var data []byte
	var err error
	if k.Class == classData {
		if data, k.Wrapped, err = g.NewDataKey(); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	block := k.marshal(head)
	b, err := v.bind(g, &k, data, name, head)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	b.sum = blockSum(head, block)
	return block, b, nil
}

// open finds the keys of an object.
func (v *vault) open(kind objectKind, name string, head, block []byte) (*binding, error) {
	k, sum, err := parseKeyBlock(head, block)
	if err != nil {
		return nil, err
	}
	if k.Class != kind.class() {
		return nil, fmt.Errorf("%w: key block: class %d of a %s", ErrCorrupt, k.Class, kind)
	}
	g := v.ring.Generation(k.Generation)
	if g == nil {
		return nil, fmt.Errorf("%w: the keyring has no generation %s", ErrCorrupt, k.Generation)
	}
	var data []byte
	if k.Class == classData {
		data, err = g.DataKey(k.Wrapped)
	}
	locked := errors.Is(err, keys.ErrNotPermitted)
	if err != nil && !locked {
		return nil, fmt.Errorf("%w: key block: the data key cannot be unwrapped", ErrCorrupt)
	}
	b, err := v.bind(g, &k, data, name, head)
	if err != nil {
		return nil, err
	}
	if b.sum = sum; locked {
		b.content, b.locked = nil, v.notPermitted()
	}
	return b, nil
}

// notPermitted is the error of who has a key for backups only.
func (v *vault) notPermitted() error {
	return &KeyError{Cluster: v.ring.Cluster, Reason: keys.ErrNotPermitted}
}

// bind derives the keys. The object's name in the store, its header and the system identifier
// enter them, so that an object is one only in its place.
func (v *vault) bind(g *keys.Generation, k *keyBlock, data []byte, name string, head []byte) (*binding, error) {
	id := name + "\x00" + strconv.FormatUint(v.systemID, 10) + "\x00" + string(head)
	derive := func(use string, extra []byte) (cipher.AEAD, error) {
		key, err := g.Derive(k.Salt[:], extra, "pgincr "+use+"\x00"+id)
		if err != nil {
			return nil, err
		}
		return newAEAD(key)
	}
	content, err1 := derive("frames", data)
	tail, err2 := derive("end", nil)
	return &binding{start: objectHeaderSize + keyBlockSize, content: content, tail: tail}, errors.Join(err1, err2)
}
