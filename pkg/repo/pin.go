package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Pin keeps a backup, and what it is built on, until it is taken away. It is an object of its own: nothing
// that is stored is modified.
type Pin struct {
	Format int       `json:"format"`
	Backup string    `json:"backup"`
	At     time.Time `json:"at"`   // to the second
	By     string    `json:"by"`   // who did it, for people
	Note   string    `json:"note"` // why, likewise; at most 1000 bytes
}

// maxNote bounds the note of a pin, in bytes.
const maxNote = 1000

// Pin pins the backup that p names. One that is pinned already stays as it is: created is false.
// The commit point is the appearance of the pin.
func (c *Cluster) Pin(ctx context.Context, p Pin) (created bool, err error) {
	if len(p.Note) > maxNote {
		return false, fmt.Errorf("note of %d bytes: longer than %d", len(p.Note), maxNote)
	}
	u, err := c.Use(ctx, p.Backup) // so that it is not removed between looking and pinning
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, u.Release()) }()
	if u.Unprotected != nil {
		return false, u.Unprotected
	}
	p.Format, p.At = FormatVersion, p.At.UTC().Truncate(time.Second)
	data, err := seal(p)
	if err != nil {
		return false, err
	}
	name := c.pinObject(p.Backup)
	if data, err = c.vault.conceal(name, data); err != nil {
		return false, err
	}
	err = putBytes(ctx, c.st, name, data)
	if errors.Is(err, ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// Unpin takes a pin away; removed is false where there was none. The commit point is the deletion.
func (c *Cluster) Unpin(ctx context.Context, id string) (removed bool, err error) {
	if _, _, err := ParseID(id); err != nil {
		return false, err
	}
	_, err = c.st.Stat(ctx, c.pinObject(id))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, c.st.Delete(ctx, c.pinObject(id))
}

// pinObject is where the pin of a backup lies.
func (c *Cluster) pinObject(id string) string { return c.prefix + pinsPrefix + id + ".json" }

// Pins gives the pins by the ids of backups. One that cannot be read pins nevertheless: it is
// nil. A listing, and a small read for each.
func (c *Cluster) Pins(ctx context.Context) (map[string]*Pin, error) {
	found, err := c.st.List(ctx, c.prefix+pinsPrefix, false)
	if err != nil {
		return nil, err
	}
	pins := map[string]*Pin{}
	for _, o := range found {
		id, ok := strings.CutSuffix(o.Name, ".json")
		if _, _, err := ParseID(id); err != nil || !ok {
			continue
		}
		p, err := c.readPin(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			continue // taken away meanwhile
		case errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewer):
		case err != nil:
			return nil, err
		}
		pins[id] = p
	}
	return pins, nil
}

// readPin reads one pin.
func (c *Cluster) readPin(ctx context.Context, id string) (*Pin, error) {
	name := c.pinObject(id)
	data, err := readObject(ctx, c.st, name)
	if err == nil {
		data, err = c.vault.reveal(name, data)
	}
	if err != nil {
		return nil, err
	}
	p := new(Pin)
	if err := unseal(data, p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if p.Backup != id {
		return nil, fmt.Errorf("%s: %w: it is of backup %s", name, ErrCorrupt, p.Backup)
	}
	return p, nil
}
