package repo

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// maxOpenObjects bounds the objects that an objectCache keeps open while nobody uses them.
const maxOpenObjects = 32

// objectCache keeps packs and hash objects open, each with its header verified once.
type objectCache struct {
	st     Store
	prefix string // of the backup's objects
	header objectHeader

	mu      sync.Mutex
	objects map[objectKey]*cachedObject // guarded by mu, as what is said so below
	clock   uint64
	closed  bool
}

// objectKey tells the numbered objects of a backup apart.
type objectKey struct {
	kind   objectKind
	number uint32
}

// name gives the object's name in the backup.
func (k objectKey) name() string {
	if k.kind == kindHashes {
		return hashesObject(k.number)
	}
	return packObject(k.number)
}

// cachedObject is an open object.
type cachedObject struct {
	ObjectReader
	cache *objectCache
	bind  *binding

	users int    // guarded by the cache's mu
	used  uint64 // when, by the cache's clock
}

// newObjectCache makes one for the objects below prefix; header is theirs but for kind and number.
func newObjectCache(st Store, prefix string, header objectHeader) *objectCache {
	return &objectCache{st: st, prefix: prefix, header: header, objects: map[objectKey]*cachedObject{}}
}

// get gives an object with its header verified. Its done must be called.
func (c *objectCache) get(ctx context.Context, key objectKey) (*cachedObject, error) {
	if o := c.take(key); o != nil {
		return o, nil
	}
	want := c.header
	want.Kind, want.Number = key.kind, key.number
	o, err := openVerified(ctx, c.st, c.prefix+key.name(), want)
	if err != nil {
		return nil, err
	}
	o.cache = c
	return c.add(key, o)
}

// take gives an object that is open already, or nil.
func (c *objectCache) take(key objectKey) *cachedObject {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.objects[key]
	if o != nil {
		c.clock++
		o.users++
		o.used = c.clock
	}
	return o
}

// done ends one use.
func (o *cachedObject) done() {
	o.cache.mu.Lock()
	defer o.cache.mu.Unlock()
	o.users--
}

// add keeps an object, unless another goroutine was quicker, and closes the one that was
// not used for the longest time when there are too many.
func (c *objectCache) add(key objectKey, o *cachedObject) (*cachedObject, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.Join(fmt.Errorf("%s%s: backup reader is closed", c.prefix, key.name()), o.Close())
	}
	var err error
	if other := c.objects[key]; other != nil {
		err, o = o.Close(), other
	} else {
		if len(c.objects) >= maxOpenObjects {
			err = c.evict()
		}
		c.objects[key] = o
	}
	if err != nil {
		return nil, err
	}
	c.clock++
	o.users++
	o.used = c.clock
	return o, nil
}

// evict closes one object that nobody uses, if there is one.
func (c *objectCache) evict() error {
	var key objectKey
	var oldest *cachedObject
	for k, o := range c.objects {
		if o.users == 0 && (oldest == nil || o.used < oldest.used) {
			key, oldest = k, o
		}
	}
	if oldest == nil {
		return nil
	}
	delete(c.objects, key)
	return oldest.Close()
}

// close closes all objects.
func (c *objectCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var err error
	for _, o := range c.objects {
		err = errors.Join(err, o.Close())
	}
	clear(c.objects)
	return err
}

// openVerified opens an object and verifies its header.
func openVerified(ctx context.Context, st Store, name string, want objectHeader) (*cachedObject, error) {
	o, err := st.Open(ctx, name)
	if err != nil {
		return nil, missing(name, err)
	}
	b := make([]byte, want.size())
	if err := readAt(o, b, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), o.Close())
	}
	bind, err := want.open(name, b)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), o.Close())
	}
	return &cachedObject{ObjectReader: o, bind: bind}, nil
}

// readAt fills b, or fails with ErrCorrupt when the object ends before.
func readAt(o ObjectReader, b []byte, off int64) error {
	n, err := o.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || isShort(err) {
		return fmt.Errorf("%w: cut off", ErrCorrupt)
	}
	return err
}

// frame reads the frame f into b, which has room for f.Stored bytes, verifies it and gives
// its payload, decrypted.
func (o *cachedObject) frame(f *Frame, b []byte) ([]byte, error) {
	if f.Offset > o.Size()-int64(f.Stored) {
		return nil, fmt.Errorf("%w: the pack ends at %d", ErrCorrupt, o.Size())
	}
	if err := readAt(o, b, f.Offset); err != nil {
		return nil, err
	}
	h, err := parseFrameHeader(b, o.bind, f.Offset)
	if err != nil {
		return nil, err
	}
	if h != f.header() {
		return nil, fmt.Errorf("%w: the index means another frame", ErrCorrupt)
	}
	payload := b[frameHeaderSize:]
	if err := h.verifyPayload(payload); err != nil {
		return nil, err
	}
	return o.bind.open(h, payload, f.Offset)
}

// header is what the frame's own header says.
func (f *Frame) header() frameHeader {
	h := frameHeader{Kind: frameBytes, Codec: f.Codec, Raw: f.Raw, Stored: f.Stored - frameHeaderSize, Sum: f.Sum}
	if f.HashIndex != NoHashes {
		h.Kind, h.Count, h.First = framePages, uint32(f.Pages()), f.HashIndex
	}
	return h
}
