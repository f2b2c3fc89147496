package repo

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/keys"
)

// keysPrefix begins the names of keyring documents: keys/<first generation>/000001.json.
const keysPrefix = "keys/"

// ringPrefix is where the documents of the ring lie whose first generation is first.
func (c *Cluster) ringPrefix(first keys.ID) string {
	return c.prefix + keysPrefix + first.String() + "/"
}

// ringObject names a document by its serial number.
func ringObject(serial uint32) string { return fmt.Sprintf("%06d.json", serial) }

// ringAttempts bounds how often a document that was replaced while it was looked for is looked for again.
const ringAttempts = 5

// loadRing reads the newest document of a ring.
func (c *Cluster) loadRing(ctx context.Context, first keys.ID) (*keys.Document, error) {
	prefix := c.ringPrefix(first)
	for range ringAttempts {
		found, err := c.st.List(ctx, prefix, false)
		if err != nil {
			return nil, err
		}
		serial := uint32(0)
		for _, o := range found {
			var n uint32
			if _, err := fmt.Sscanf(o.Name, "%d.json", &n); err == nil && o.Name == ringObject(n) {
				serial = max(serial, n)
			}
		}
		if serial == 0 {
			return nil, fmt.Errorf("%s: %w: there is no keyring", prefix, ErrCorrupt)
		}
		name := prefix + ringObject(serial)
		data, err := readObject(ctx, c.st, name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		d := new(keys.Document)
		if err := unsealFormat(data, EncryptedFormat, d); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if d.Serial != serial || d.Cluster != c.name() {
			return nil, fmt.Errorf("%s: %w: it is keyring %d of cluster %s", name, ErrCorrupt, d.Serial, d.Cluster)
		}
		return d, nil
	}
	return nil, fmt.Errorf("%s: the keyring changes all the time", prefix)
}

// openRing loads the ring and opens it.
func (c *Cluster) openRing(ctx context.Context, first keys.ID, with keys.Credentials) (*vault, error) {
	d, err := c.loadRing(ctx, first)
	if err != nil {
		return nil, err
	}
	ring, err := d.Open(ctx, with)
	switch {
	case errors.Is(err, keys.ErrNoKey) || errors.Is(err, keys.ErrWrongKey):
		return nil, &KeyError{Cluster: c.name(), Reason: err}
	case errors.Is(err, keys.ErrForged):
		return nil, fmt.Errorf("%s%s: %w: %w", c.ringPrefix(first), ringObject(d.Serial), ErrCorrupt, err)
	case err != nil:
		return nil, err
	case ring.Generations[0].ID != first:
		return nil, fmt.Errorf("%s: %w: it is the keyring %s", c.ringPrefix(first), ErrCorrupt, ring.Generations[0].ID)
	}
	return &vault{ring: ring}, nil
}

// storeRing writes a document. The commit point is its appearance; ErrExists: somebody
// else changed the ring meanwhile.
func (c *Cluster) storeRing(ctx context.Context, first keys.ID, d *keys.Document) error {
	d.Format = EncryptedFormat
	data, err := seal(d)
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	return putBytes(ctx, c.st, c.ringPrefix(first)+ringObject(d.Serial), data)
}

// Encrypted says whether the cluster's objects are encrypted.
func (c *Cluster) Encrypted() bool { return c.vault != nil }

// VerifyReadsData fails with a *KeyError where the cluster was opened with a key that cannot read pages and WAL.
func (c *Cluster) VerifyReadsData() error {
	if c.vault == nil || c.vault.ring.ReadsData() {
		return nil
	}
	return c.vault.notPermitted()
}

// Ring gives the keys with which the cluster was opened, or nil. They must not be changed.
func (c *Cluster) Ring() *keys.Ring {
	if c.vault == nil {
		return nil
	}
	return c.vault.ring
}

// ChangeRing replaces the keyring by what change makes of it; no other object is
// touched. The commit point is the appearance of the new document. Then the older ones are deleted: an
// error of type *OldRingError says that the change stands and one of them is still there.
func (c *Cluster) ChangeRing(
	ctx context.Context, change func(*keys.Ring, *keys.Document) (*keys.Document, error),
) error {
	if c.vault == nil {
		return &KeyError{Cluster: c.name(), Reason: ErrNotEncrypted}
	}
	if err := c.VerifyReadsData(); err != nil {
		return err
	}
	ring := c.vault.ring
	first := ring.Generations[0].ID
	old, err := c.loadRing(ctx, first)
	if err != nil {
		return err
	}
	if old.Serial != ring.Serial {
		return fmt.Errorf("keyring of cluster %s: somebody else has just changed it", c.name())
	}
	changed, err := change(ring, old)
	if err != nil {
		return err
	}
	if err := c.storeRing(ctx, first, changed); err != nil {
		if errors.Is(err, ErrExists) {
			err = fmt.Errorf("keyring of cluster %s: somebody else has just changed it: %w", c.name(), err)
		}
		return err
	}
	if err := c.dropRings(ctx, first, changed.Serial); err != nil {
		return &OldRingError{err}
	}
	return nil
}

// dropRings deletes the documents before a serial number.
func (c *Cluster) dropRings(ctx context.Context, first keys.ID, before uint32) error {
	prefix := c.ringPrefix(first)
	found, err := c.st.List(ctx, prefix, false)
	if err != nil {
		return err
	}
	var names []string
	for _, o := range found {
		if o.Name < ringObject(before) {
			names = append(names, prefix+o.Name)
		}
	}
	return c.st.Delete(ctx, names...)
}

// OldRingError: a keyring was replaced and could not be deleted, so that who held it can still open it.
type OldRingError struct{ Err error }

func (e *OldRingError) Error() string {
	return fmt.Sprintf("the keyring was changed, but the one before could not be deleted: %s", e.Err)
}

func (e *OldRingError) Unwrap() error { return e.Err }
