package mount

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/pgincr/pgincr/pkg/repo"
)

// frameKey names a frame of a chain.
type frameKey struct {
	depth  int
	pack   uint32
	offset int64
}

// frames reads frames of a chain and keeps those that were used last. Safe for concurrent use.
type frames struct {
	chain *repo.Chain
	limit int64 // bytes that are kept

	flight singleflight.Group

	mu   sync.Mutex
	byID map[frameKey]*list.Element // guarded by mu; values are *frame
	used list.List                  // guarded by mu; the last used first
	held int64                      // guarded by mu
}

type frame struct {
	key frameKey
	raw []byte
}

func newFrames(chain *repo.Chain, limit int64) *frames {
	return &frames{chain: chain, limit: limit, byID: map[frameKey]*list.Element{}}
}

// get gives the decoded bytes of a frame, which must not be changed. Who wants a frame that another is reading
// waits for that.
func (f *frames) get(ctx context.Context, depth int, fr *repo.Frame) ([]byte, error) {
	key := frameKey{depth, fr.Pack, fr.Offset}
	if raw := f.cached(key); raw != nil {
		return raw, nil
	}
	// One whose reader was interrupted must not fail those who wait with it.
	v, err, _ := f.flight.Do(fmt.Sprint(key), func() (any, error) {
		raw, err := f.chain.Backups[depth].ReadFrame(context.WithoutCancel(ctx), *fr, nil)
		if err == nil {
			f.keep(key, raw)
		}
		return raw, err
	})
	if err != nil {
		return nil, err
	}
	raw, _ := v.([]byte)
	return raw, nil
}

func (f *frames) cached(key frameKey) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.byID[key]
	if e == nil {
		return nil
	}
	f.used.MoveToFront(e)
	kept, _ := e.Value.(*frame)
	return kept.raw
}

// keep keeps a frame in place of those that were not used for longest.
func (f *frames) keep(key frameKey, raw []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byID[key] != nil {
		return
	}
	f.byID[key] = f.used.PushFront(&frame{key, raw})
	f.held += int64(len(raw))
	for f.held > f.limit && f.used.Len() > 1 {
		last, _ := f.used.Remove(f.used.Back()).(*frame)
		delete(f.byID, last.key)
		f.held -= int64(len(last.raw))
	}
}
