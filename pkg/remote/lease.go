package remote

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/pkg/repo"
)

// lease is a flag that is kept alive.
type lease struct {
	s         *Store
	name, key string
	token     string
	data      []byte
	version   string // renew's
	cancel    context.CancelFunc
	g         errgroup.Group // renews
}

// raise stores an own flag and renews it from then on.
func (s *Store) raise(ctx context.Context, name, key, owner string) (*lease, error) {
	l := &lease{s: s, name: name, token: newToken()}
	l.key = key + "/" + l.token
	var err error
	if l.data, err = json.Marshal(flag{Owner: owner, LeaseSeconds: int(s.lease / time.Second)}); err != nil {
		return nil, err
	}
	if l.version, err = s.put(ctx, l.key, l.token, l.data); err != nil {
		return nil, err
	}
	// The lock ends with its unlock or the process, not with the caller's context.
	renew, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	l.g.Go(func() error { return l.renew(renew) })
	return l, nil
}

// renew stores the flag again, three times in the time of a lease, until ctx ends or the lease was lost.
func (l *lease) renew(ctx context.Context) error {
	for pace.Sleep(ctx, l.s.lease/3) == nil {
		limit, cancel := context.WithTimeout(ctx, l.s.lease)
		err := l.renewOnce(limit)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return &LostLockError{l.name, err}
		}
	}
	return nil
}

// renewOnce tries until it is done or ctx ends.
func (l *lease) renewOnce(ctx context.Context) error {
	version := l.version
	err := l.s.try(ctx, &l.s.usage.put, func(ctx context.Context) (err error) {
		l.version, err = l.s.sv.Put(ctx, l.key, l.data, PutOptions{Token: l.token, Replaces: version})
		return err
	})
	if !errors.Is(err, ErrChanged) && !errors.Is(err, repo.ErrNotFound) {
		return err
	}
	// Nobody else writes the flag: it is gone, or an answer was lost.
	var o Object
	statErr := l.s.try(ctx, &l.s.usage.stat, func(ctx context.Context) (err error) {
		o, err = l.s.sv.Stat(ctx, l.key)
		return err
	})
	if statErr != nil {
		return errors.Join(err, statErr)
	}
	l.version = o.Version
	return nil
}

// end takes the flag down, also when ctx has ended.
func (l *lease) end(ctx context.Context) error {
	l.cancel()
	lost := l.g.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortPatience)
	defer cancel()
	return errors.Join(lost, l.s.remove(ctx, []string{l.key}))
}
