package repo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// LockKind says what the holder of a lock does.
type LockKind string

// The locks of a cluster. Those that name a backup have a hyphen and its id behind the kind.
const (
	LockBackup     LockKind = "backup"      // takes a backup; one at a time
	LockBackupFrom LockKind = "backup-from" // takes one that needs the WAL from this segment on
	LockTaking     LockKind = "taking"      // writes this backup, which has no manifest yet
	LockUsing      LockKind = "using"       // reads this backup and what it is built on, and its WAL
	LockRemoving   LockKind = "removing"    // removes this backup, or WAL
	LockExpire     LockKind = "expire"      // removes backups; one at a time
)

// removingWAL stands for a backup's id in the lock of who removes WAL.
const removingWAL = "wal"

// HeldLock is a lock that somebody holds.
type HeldLock struct {
	Name    string    `json:"name"` // in the cluster
	Kind    LockKind  `json:"kind"`
	Backup  string    `json:"backup,omitempty"`  // the id of LockTaking, LockUsing, LockRemoving
	Segment string    `json:"segment,omitempty"` // of LockBackupFrom
	Owner   string    `json:"owner"`             // program, process and host
	Since   time.Time `json:"since"`             // zero when the owner did not say
}

// String names what is done, by whom and since when.
func (l HeldLock) String() string {
	what := string(l.Kind)
	switch {
	case l.Kind == LockRemoving && l.Backup == "":
		what += " WAL"
	case l.Backup != "":
		what += " " + l.Backup
	}
	s := what + " by " + ownerText(l.Owner)
	if !l.Since.IsZero() {
		s += ", since " + l.Since.Format(time.RFC3339)
	}
	return s
}

// Lock takes a lock of this cluster, "backup" for example. When another process holds it
// the error is ErrLocked and says which process that is.
func (c *Cluster) Lock(ctx context.Context, name string) (unlock func() error, err error) {
	if err := verifyElement(name); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return c.st.Lock(ctx, c.prefix+locksPrefix+name, lockOwner(time.Now())) //nolint:forbidigo // only for people to read
}

// Locks gives the locks of this cluster that are held, by name.
func (c *Cluster) Locks(ctx context.Context) ([]HeldLock, error) {
	return c.locks(ctx, nil)
}

// removals gives those locks of this cluster that are held by who removes backups or WAL.
func (c *Cluster) removals(ctx context.Context) ([]HeldLock, error) {
	return c.locks(ctx, func(name string) bool { return strings.HasPrefix(name, string(LockRemoving)+"-") })
}

// locks gives the locks whose name want accepts (see Store.Locks).
func (c *Cluster) locks(ctx context.Context, want func(name string) bool) ([]HeldLock, error) {
	found, err := c.st.Locks(ctx, c.prefix+locksPrefix, want)
	if err != nil {
		return nil, err
	}
	held := make([]HeldLock, len(found))
	for i, l := range found {
		held[i] = parseLock(l)
	}
	return held, nil
}

// parseLock takes the name of a lock apart. One of an unknown kind has its name for it.
func parseLock(l LockInfo) HeldLock {
	h := HeldLock{Name: l.Name, Kind: LockKind(l.Name)}
	h.Owner, h.Since = parseLockOwner(l.Owner)
	const idLength = len(idTime) + len("-F")
	for _, kind := range []LockKind{LockTaking, LockUsing, LockRemoving} {
		rest, ok := strings.CutPrefix(l.Name, string(kind)+"-")
		switch {
		case !ok:
		case kind == LockRemoving && rest == removingWAL:
			h.Kind = kind
		case len(rest) >= idLength:
			if _, _, err := ParseID(rest[:idLength]); err == nil {
				h.Kind, h.Backup = kind, rest[:idLength]
			}
		}
	}
	if segment, ok := strings.CutPrefix(l.Name, string(LockBackupFrom)+"-"); ok {
		h.Kind, h.Segment = LockBackupFrom, segment
	}
	return h
}

// LockWAL tells whoever removes WAL that a backup which is being taken needs it from this segment on.
func (c *Cluster) LockWAL(ctx context.Context, segment string) (unlock func() error, err error) {
	if err := verifyWALName(segment); err != nil {
		return nil, err
	}
	return c.Lock(ctx, string(LockBackupFrom)+"-"+segment)
}

// ownerSince is what stands between an owner and the time.
const ownerSince = ", since "

// lockOwner is what a lock tells whoever finds it held.
func lockOwner(now time.Time) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	command := filepath.Base(os.Args[0])
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		command += " " + os.Args[1] // never the rest: it may hold what nobody else should read
	}
	return fmt.Sprintf("%s, process %d on %s%s%s\n",
		command, os.Getpid(), host, ownerSince, now.UTC().Format(time.RFC3339))
}

// parseLockOwner is the inverse of lockOwner, as far as it goes.
func parseLockOwner(text string) (owner string, since time.Time) {
	text = strings.TrimSpace(text)
	i := strings.LastIndex(text, ownerSince)
	if i < 0 {
		return text, time.Time{}
	}
	since, err := time.Parse(time.RFC3339, text[i+len(ownerSince):])
	if err != nil {
		return text, time.Time{}
	}
	return text[:i], since
}
