package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/pkg/repo"
)

// A lock is a directory of flags, objects whose names are random and which only their owners write:
//
//	1  look: whoever sees a flag has lost
//	2  raise an own flag (create-only)
//	3  look again: whoever sees no other flag has the lock, until he takes his flag down
//
// Of two that raise flags, the one that looks last sees the other's, so that no two get the lock.
// Who sees another's flag at 3 takes his own down, unless it is the first by name: then he looks a few times
// more, since the others are about to give way. That needs nothing of a service but that listings are
// true at once, and nothing that is deleted can ever be somebody else's.
//
// An owner renews his flag; one that was not renewed for a lease, by the service's own clock, is a
// dead owner's, and whoever finds it removes it. An owner who comes back from the dead finds his flag gone.

// Looking again for those who give way.
const (
	lockLooks = 10
	lockPause = 20 * time.Millisecond
)

// maxFlag bounds the content of a flag.
const maxFlag = 16 << 10

// flag is the content of one.
type flag struct {
	Owner        string `json:"owner"`         // for people
	LeaseSeconds int    `json:"lease_seconds"` // a dead owner's flag is older than that
}

// slack is what the service's clock and its stamps may differ by, and how late a renewal may come.
func slack(lease time.Duration) time.Duration { return lease/2 + 2*time.Second }

// Lock takes a lock.
func (s *Store) Lock(ctx context.Context, name, owner string) (func() error, error) {
	key, err := s.key(ctx, name)
	if err != nil {
		return nil, err
	}
	others, err := s.flags(ctx, key+"/", "")
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		return nil, s.locked(ctx, name, others[0])
	}
	l, err := s.raise(ctx, name, key, owner)
	if err != nil {
		return nil, err
	}
	other, err := s.alone(ctx, key+"/", l.key)
	if err == nil && other != nil {
		err = s.locked(ctx, name, *other)
	}
	if err != nil {
		return nil, errors.Join(err, l.end(ctx))
	}
	return sync.OnceValue(func() error { return l.end(ctx) }), nil
}

// alone looks until mine is the only flag, or gives another one, to which it gives way.
func (s *Store) alone(ctx context.Context, dir, mine string) (*Object, error) {
	for looks := 1; ; looks++ {
		others, err := s.flags(ctx, dir, mine)
		if err != nil || len(others) == 0 {
			return nil, err
		}
		if others[0].Key < mine || looks == lockLooks {
			return &others[0], nil
		}
		//nolint:gosec // nothing to guess
		if err := pace.Sleep(ctx, lockPause+rand.N(lockPause)); err != nil {
			return nil, err
		}
	}
}

// locked says who holds the lock.
func (s *Store) locked(ctx context.Context, name string, o Object) error {
	f, err := s.readFlag(ctx, o)
	if err != nil && !errors.Is(err, repo.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%s: %w by %s", name, repo.ErrLocked,
		cmp.Or(strings.TrimSpace(f.Owner), "a process that left no name"))
}

// flags gives the flags below dir but mine, by name. Those of dead owners are removed.
func (s *Store) flags(ctx context.Context, dir, mine string) ([]Object, error) {
	found, err := s.listKeys(ctx, List{Prefix: dir, Recursive: true})
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(o Object) bool { return o.Key == mine || strings.HasSuffix(o.Key, "/") })
	if len(found) == 0 {
		return nil, nil
	}
	now, err := s.now(ctx)
	if err != nil {
		return nil, err
	}
	var alive []Object
	var dead []string
	for _, o := range found {
		// What is young needs no look inside; another pgincr may have longer leases.
		if age := now.Sub(o.Modified); age > s.lease+slack(s.lease) {
			f, err := s.readFlag(ctx, o)
			if errors.Is(err, repo.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if lease := time.Duration(f.LeaseSeconds) * time.Second; age > lease+slack(lease) {
				dead = append(dead, o.Key)
				continue
			}
		}
		alive = append(alive, o)
	}
	slices.SortFunc(alive, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return alive, s.bury(ctx, dead)
}

// now is the service's time.
func (s *Store) now(ctx context.Context) (now time.Time, err error) {
	var free atomic.Int64 // see Service
	err = s.try(ctx, &free, func(ctx context.Context) (err error) {
		now, err = s.sv.Now(ctx)
		return err
	})
	return now, err
}

// bury removes flags of dead owners. Who may not, leaves them.
func (s *Store) bury(ctx context.Context, keys []string) error {
	for batch := range slices.Chunk(keys, s.limits.Deletes) {
		err := s.remove(ctx, batch)
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// readFlag reads the content of a flag. One that makes no sense is that of an unnamed owner, with a lease that
// is over.
func (s *Store) readFlag(ctx context.Context, o Object) (f flag, err error) {
	b := make([]byte, maxFlag)
	n, _, err := s.get(ctx, o.Key, b, 0)
	if err != nil {
		return f, err
	}
	if json.Unmarshal(b[:n], &f) != nil || f.LeaseSeconds < 0 || f.LeaseSeconds > int((24*time.Hour).Seconds()) {
		return flag{}, nil
	}
	return f, nil
}

// Locks gives the locks that are held.
func (s *Store) Locks(ctx context.Context, prefix string, want func(name string) bool) ([]repo.LockInfo, error) {
	if dir, ok := strings.CutSuffix(prefix, "/"); prefix != "" && (!ok || repo.VerifyObjectName(dir) != nil) {
		return nil, fmt.Errorf("locks %q: not a prefix", prefix)
	}
	flags, err := s.flags(ctx, s.prefix+prefix, "")
	if err != nil {
		return nil, err
	}
	name := func(o Object) string { return path.Dir(strings.TrimPrefix(o.Key, s.prefix+prefix)) }
	if want != nil {
		flags = slices.DeleteFunc(flags, func(o Object) bool { return !want(name(o)) })
	}
	held := make([]repo.LockInfo, len(flags))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, o := range flags {
		held[i].Name = name(o)
		g.Go(func() error {
			f, err := s.readFlag(ctx, o)
			if errors.Is(err, repo.ErrNotFound) {
				held[i].Name = "" // given up meanwhile
				return nil
			}
			held[i].Owner = strings.TrimSpace(f.Owner)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	held = slices.DeleteFunc(held, func(l repo.LockInfo) bool { return l.Name == "" })
	slices.SortFunc(held, func(a, b repo.LockInfo) int { return strings.Compare(a.Name, b.Name) })
	return held, nil
}
