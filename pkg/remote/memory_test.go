package remote_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
)

// memory is a service in memory with a clock of its own, which fails as it is told.
type memory struct {
	ordered bool
	stuck   bool // lists begin at the beginning
	// fail is asked before (late false) and after each request whether it fails.
	fail func(request string, late bool) error

	mu      sync.Mutex
	objects map[string]stored // guarded by mu, as what follows
	uploads int
	version int
	now     time.Time
}

// stored is an object.
type stored struct {
	data  []byte
	token string
	at    time.Time
	etag  string
}

var errNetwork = errors.New("connection reset by peer")

func newMemory() *memory {
	return &memory{
		objects: map[string]stored{}, now: time.Unix(1e9, 0), fail: func(string, bool) error { return nil },
	}
}

// unreliable makes requests fail at random, half of them after they were carried out.
func (m *memory) unreliable(share float64) {
	m.fail = func(_ string, late bool) error {
		if rand.Float64() < share/2 {
			return fmt.Errorf("%w (late %v)", errNetwork, late)
		}
		return nil
	}
}

// do carries out a request.
func (m *memory) do(ctx context.Context, request string, f func() error) error {
	if err := errors.Join(ctx.Err(), m.fail(request, false)); err != nil {
		return err
	}
	m.mu.Lock()
	err := f()
	m.mu.Unlock()
	if err == nil {
		err = m.fail(request, true)
	}
	return err
}

// advance lets time pass.
func (m *memory) advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

func (m *memory) String() string { return "memory://place" }

func (m *memory) Limits() remote.Limits {
	return remote.Limits{Deletes: 10, Parts: 100, Ordered: m.ordered, Seeks: true}
}

func (m *memory) Now(ctx context.Context) (now time.Time, err error) {
	err = m.do(ctx, "now", func() error {
		now = m.now
		return nil
	})
	return now, err
}

func (m *memory) Put(ctx context.Context, key string, data []byte, o remote.PutOptions) (version string, err error) {
	err = m.do(ctx, "put "+key, func() error {
		old, ok := m.objects[key]
		if o.Replaces == "" && ok {
			return repo.ErrExists
		}
		if o.Replaces != "" && old.etag != o.Replaces {
			return remote.ErrChanged
		}
		m.version++
		version = strconv.Itoa(m.version)
		m.objects[key] = stored{slices.Clone(data), o.Token, m.now, version}
		return nil
	})
	return version, err
}

func (m *memory) Get(ctx context.Context, key string, p []byte, off int64) (n int, size int64, err error) {
	err = m.do(ctx, "get "+key, func() error {
		o, ok := m.objects[key]
		if !ok {
			return repo.ErrNotFound
		}
		size = int64(len(o.data))
		n = copy(p, o.data[min(off, size):])
		return nil
	})
	return n, size, err
}

func (m *memory) Stat(ctx context.Context, key string) (o remote.Object, err error) {
	err = m.do(ctx, "stat "+key, func() error {
		s, ok := m.objects[key]
		if !ok {
			return repo.ErrNotFound
		}
		o = remote.Object{Key: key, Size: int64(len(s.data)), Modified: s.at, Version: s.etag, Token: s.token}
		return nil
	})
	return o, err
}

// memoryPage is how many names a page has.
const memoryPage = 100

func (m *memory) List(ctx context.Context, l remote.List) (page remote.Page, err error) {
	err = m.do(ctx, "list "+l.Prefix, func() error {
		sums := map[string]remote.Object{}
		for key, s := range m.objects {
			rest, ok := strings.CutPrefix(key, l.Prefix)
			if !ok {
				continue
			}
			o := remote.Object{Key: key, Size: int64(len(s.data)), Modified: s.at}
			if dir, _, below := strings.Cut(rest, "/"); below && !l.Recursive {
				o = remote.Object{Key: l.Prefix + dir + "/"}
			}
			if m.stuck || o.Key > max(l.After, l.Next) {
				sums[o.Key] = o
			}
		}
		page = remote.Page{}
		for _, key := range slices.Sorted(maps.Keys(sums)) {
			if len(page.Objects) == memoryPage {
				page.Next = page.Objects[memoryPage-1].Key
				break
			}
			page.Objects = append(page.Objects, sums[key])
		}
		return nil
	})
	return page, err
}

func (m *memory) Delete(ctx context.Context, keys []string) error {
	return m.do(ctx, "delete "+keys[0], func() error {
		var missing error
		for _, key := range keys {
			if _, ok := m.objects[key]; !ok {
				missing = repo.ErrNotFound
			}
			delete(m.objects, key)
		}
		return missing
	})
}

// upload is an object that is sent in parts.
type upload struct {
	m          *memory
	key, token string
	parts      map[int][]byte // guarded by m.mu
}

func (m *memory) Begin(ctx context.Context, key, token string) (u remote.Upload, err error) {
	err = m.do(ctx, "begin "+key, func() error {
		m.uploads++
		u = &upload{m, key, token, map[int][]byte{}}
		return nil
	})
	return u, err
}

func (u *upload) Part(ctx context.Context, number int, off int64, data []byte) error {
	if off != int64(number-1)*remote.PartSize {
		return &remote.Error{Cause: remote.Refused, Err: fmt.Errorf("part %d at %d", number, off)}
	}
	return u.m.do(ctx, "part "+u.key, func() error {
		if _, before := u.parts[number-1]; u.m.ordered && number > 1 && !before {
			return &remote.Error{Cause: remote.Refused, Err: errors.New("out of order")}
		}
		u.parts[number] = slices.Clone(data)
		return nil
	})
}

func (u *upload) Complete(ctx context.Context, number int, off int64, rest []byte) error {
	if len(rest) > 0 {
		if err := u.Part(ctx, number, off, rest); err != nil {
			return err
		}
	}
	return u.m.do(ctx, "complete "+u.key, func() error {
		if u.parts == nil {
			return &remote.Error{Cause: remote.Refused, Err: errors.New("no such upload")}
		}
		if _, ok := u.m.objects[u.key]; ok {
			return repo.ErrExists
		}
		var data []byte
		for _, n := range slices.Sorted(maps.Keys(u.parts)) {
			data = append(data, u.parts[n]...)
		}
		u.m.version++
		u.m.objects[u.key] = stored{data, u.token, u.m.now, strconv.Itoa(u.m.version)}
		u.parts = nil
		u.m.uploads--
		return nil
	})
}

func (u *upload) Abort(ctx context.Context) error {
	return u.m.do(ctx, "abort "+u.key, func() error {
		if u.parts != nil {
			u.m.uploads--
		}
		u.parts = nil
		return nil
	})
}
