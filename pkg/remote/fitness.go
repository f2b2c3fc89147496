package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/repo"
)

// rootMaker is a service whose space has to be made once.
type rootMaker interface {
	MakeRoot(ctx context.Context) error
}

// CreateRoot makes certain that the service keeps what a repository rests on, before there is one: that a name
// is given once, that a version is replaced only by who knows it, and that listings are true at once.
// Services that ignore conditions exist, and would lose backups without a word.
func (s *Store) CreateRoot(ctx context.Context) (err error) {
	if m, ok := s.sv.(rootMaker); ok {
		err := s.try(ctx, &s.usage.put, m.MakeRoot)
		if err != nil {
			return err
		}
	}
	token := newToken()
	name := "pgincr-probe-" + token
	key, err := s.key(ctx, name)
	if err != nil {
		return err
	}
	data := []byte("pgincr made this to see what this service can do, and may be deleted\n")
	old, err := s.put(ctx, key, token, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Delete(ctx, name)) }()
	if _, err := s.put(ctx, key, newToken(), nil); !errors.Is(err, repo.ErrExists) {
		return s.unfit(err, "it gives a name twice")
	}
	replace := func(data []byte, token string) error {
		return s.try(ctx, &s.usage.put, func(ctx context.Context) error {
			_, err := s.sv.Put(ctx, key, data, PutOptions{Token: token, Replaces: old})
			return err
		})
	}
	data = append(data, token...)
	// Where an answer was lost, the repetition finds a version that was changed: verifyProbe sees by whom.
	if err := replace(data, token); err != nil && !errors.Is(err, ErrChanged) {
		return s.unfit(err, "it does not replace a version")
	}
	if err := replace(nil, newToken()); !errors.Is(err, ErrChanged) {
		return s.unfit(err, "it replaces a version that is not there")
	}
	return s.verifyProbe(ctx, name, data)
}

// verifyProbe looks whether the probe is listed and can be read.
func (s *Store) verifyProbe(ctx context.Context, name string, data []byte) error {
	found, err := s.listKeys(ctx, List{Prefix: s.prefix + name, Recursive: true})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return s.unfit(nil, "it does not list what was just stored")
	}
	if s.limits.Seeks { // lists of more than a page go on like that
		later, err := s.listKeys(ctx, List{Prefix: s.prefix + name, Recursive: true, After: s.prefix + name + "0"})
		if err != nil {
			return err
		}
		if len(later) != 0 {
			return s.unfit(nil, "it lists from the beginning what is asked for from a name on")
		}
	}
	b := make([]byte, len(data)+1)
	n, _, err := s.get(ctx, s.prefix+name, b, 0)
	if err != nil {
		return err
	}
	if !bytes.Equal(b[:n], data) {
		return s.unfit(nil, "it does not give what was stored last")
	}
	_, err = s.now(ctx)
	return err
}

// unfit says what the service does not do, unless it could not even be asked.
func (s *Store) unfit(err error, what string) error {
	switch {
	case err == nil:
		return &Error{s.String(), Unfit, errors.New(what)}
	case errors.Is(err, repo.ErrUnreachable):
		return err
	}
	return &Error{s.String(), Unfit, fmt.Errorf("%s: %w", what, err)}
}
