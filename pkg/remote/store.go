package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Options of a Store. The zero value has the defaults.
type Options struct {
	// Requests is the most under way at a time; 16 if 0.
	Requests int
	// Patience is for how long a request is repeated; two minutes if 0. The first one to a service that has
	// not answered yet is repeated for a tenth of that.
	Patience time.Duration
	// Lease is for how long a lock outlives its owner; one minute if 0.
	Lease time.Duration
}

// Store is a repo.Store on a service.
type Store struct {
	ctx      context.Context // ends what is read: io.ReaderAt has none
	sv       Service
	prefix   string // "" or with a slash at its end
	limits   Limits
	patience time.Duration
	lease    time.Duration
	pause    time.Duration // before the first repetition

	requests *semaphore.Weighted // under way
	parts    *semaphore.Weighted // under way, each with its memory
	buffers  buffers
	ahead    readAhead
	reached  atomic.Bool // the service has answered
	usage    usage
}

// partsUnderWay is how many parts are sent at a time.
const partsUnderWay = 4

// NewStore makes a Store of the objects whose keys begin with prefix. ctx ends what is read from them
// later. Nothing is asked of the service yet.
func NewStore(ctx context.Context, sv Service, prefix string, o Options) *Store {
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	requests := cmp.Or(o.Requests, 16)
	return &Store{
		ctx: ctx, sv: sv, prefix: prefix, limits: sv.Limits(),
		patience: cmp.Or(o.Patience, 2*time.Minute),
		lease:    cmp.Or(o.Lease, time.Minute),
		pause:    firstPause,
		requests: semaphore.NewWeighted(int64(requests)),
		parts:    semaphore.NewWeighted(partsUnderWay),
	}
}

// String gives the URL, without secrets.
func (s *Store) String() string { return s.sv.String() }

// key is the object's key in the service.
func (s *Store) key(ctx context.Context, name string) (string, error) {
	if err := repo.VerifyObjectName(name); err != nil {
		return "", err
	}
	return s.prefix + name, ctx.Err()
}

// Stat gives the size of an object.
func (s *Store) Stat(ctx context.Context, name string) (int64, error) {
	key, err := s.key(ctx, name)
	if err != nil {
		return 0, err
	}
	var o Object
	err = s.present(ctx, key, func(ctx context.Context) error {
		return s.try(ctx, &s.usage.stat, func(ctx context.Context) (err error) {
			o, err = s.sv.Stat(ctx, key)
			return err
		})
	})
	return o.Size, wrap("stat", name, err)
}

// Glance is Stat without another look where there seems to be nothing.
func (s *Store) Glance(ctx context.Context, name string) (int64, error) {
	key, err := s.key(ctx, name)
	if err != nil {
		return 0, err
	}
	var o Object
	err = s.try(ctx, &s.usage.stat, func(ctx context.Context) (err error) {
		o, err = s.sv.Stat(ctx, key)
		return err
	})
	return o.Size, wrap("stat", name, err)
}

// present calls get, and where that finds nothing, makes certain of it: a listing must show the same, unless
// the service itself is certain.
func (s *Store) present(ctx context.Context, key string, get func(context.Context) error) error {
	for range 3 {
		err := get(ctx)
		if !errors.Is(err, repo.ErrNotFound) || s.limits.Direct {
			return err
		}
		found, listErr := s.listKeys(ctx, List{Prefix: key, Recursive: true})
		if listErr != nil {
			return listErr
		}
		if !slices.ContainsFunc(found, func(o Object) bool { return o.Key == key }) {
			return err
		}
	}
	return &Error{s.String(), Refused, fmt.Errorf("%s is listed and cannot be read", key)}
}

// List gives what lies below prefix.
func (s *Store) List(ctx context.Context, prefix string, recursive bool) ([]repo.ObjectInfo, error) {
	if err := verifyPrefix(prefix); err != nil {
		return nil, err
	}
	objects, err := s.listKeys(ctx, List{Prefix: s.prefix + prefix, Recursive: recursive})
	if err != nil {
		return nil, err
	}
	return s.infos(objects, prefix, recursive), nil
}

// Seeks says whether ListAfter costs no more than what it gives.
func (s *Store) Seeks() bool { return s.limits.Seeks }

// ListAfter gives what lies below prefix and behind a name.
func (s *Store) ListAfter(ctx context.Context, prefix, after string) ([]repo.ObjectInfo, error) {
	if err := verifyPrefix(prefix); err != nil {
		return nil, err
	}
	key := s.prefix + prefix
	objects, err := s.listKeys(ctx, List{Prefix: key, Recursive: true, After: key + after})
	if err != nil {
		return nil, err
	}
	found := s.infos(objects, prefix, true)
	return slices.DeleteFunc(found, func(o repo.ObjectInfo) bool { return o.Name <= after }), nil
}

// verifyPrefix refuses what List does not take.
func verifyPrefix(prefix string) error {
	if dir, ok := strings.CutSuffix(prefix, "/"); prefix != "" && (!ok || repo.VerifyObjectName(dir) != nil) {
		return fmt.Errorf("list %q: not a prefix", prefix)
	}
	return nil
}

// infos makes rows of a listing of objects below prefix.
func (s *Store) infos(objects []Object, prefix string, recursive bool) []repo.ObjectInfo {
	found := make([]repo.ObjectInfo, 0, len(objects))
	for _, o := range objects {
		name := strings.TrimPrefix(o.Key, s.prefix+prefix)
		// An empty object that stands for a directory, as consoles make them, is none of ours.
		if name == "" || recursive && strings.HasSuffix(name, "/") {
			continue
		}
		found = append(found, repo.ObjectInfo{Name: name, Size: o.Size})
	}
	slices.SortFunc(found, func(a, b repo.ObjectInfo) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// listKeys lists by key, page by page.
func (s *Store) listKeys(ctx context.Context, l List) (found []Object, err error) {
	for {
		var page Page
		err = s.try(ctx, &s.usage.list, func(ctx context.Context) (err error) {
			page, err = s.sv.List(ctx, l)
			return err
		})
		if err != nil {
			return nil, err
		}
		found = append(found, page.Objects...)
		if page.Next == "" {
			return found, nil
		}
		if page.Next == l.Next {
			return nil, &Error{s.String(), Unfit, fmt.Errorf("the list of %s does not go on", l.Prefix)}
		}
		l.Next = page.Next
	}
}

// Delete removes objects.
func (s *Store) Delete(ctx context.Context, names ...string) error {
	keys := make([]string, len(names))
	for i, name := range names {
		key, err := s.key(ctx, name)
		if err != nil {
			return err
		}
		keys[i] = key
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for batch := range slices.Chunk(keys, s.limits.Deletes) {
		g.Go(func() error {
			return s.remove(ctx, batch)
		})
	}
	return g.Wait()
}

// remove removes objects with one request. That one is not there may be a proxy's word, and is made certain.
func (s *Store) remove(ctx context.Context, keys []string) error {
	err := s.try(ctx, &s.usage.remove, func(ctx context.Context) error { return s.sv.Delete(ctx, keys) })
	if !errors.Is(err, repo.ErrNotFound) {
		return err
	}
	for _, key := range keys {
		found, err := s.listKeys(ctx, List{Prefix: key, Recursive: true})
		if err != nil {
			return err
		}
		if slices.ContainsFunc(found, func(o Object) bool { return o.Key == key }) {
			return &Error{s.String(), Refused, fmt.Errorf("%s is listed and cannot be deleted", key)}
		}
	}
	return nil
}

// wrap names the object of what is found or not, as a directory would.
func wrap(op, name string, err error) error {
	switch {
	case errors.Is(err, repo.ErrNotFound):
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	case errors.Is(err, repo.ErrExists):
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrExist}
	}
	return err
}
