package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Earlier is what interrupted attempts at a backup have stored, for the attempt that goes on under their id.
// Whatever is wrong with it makes that less is taken over, never that something wrong is: a pack is only used after
// all its bytes, and those of its page hashes, were read and verified, and a frame only where it is, byte for
// byte of its header, one of those. Safe for concurrent use, except Files.
//
// Memory: a path for each pack; 8 bytes for each frame of packs that are used; for each pack that is being read
// 3 MiB; while files are listed, an index block for each pack that was filled at the same time.
type Earlier struct {
	reader *BackupReader
	packs  map[uint32]*earlierPack // by number; never changes
	order  []*earlierPack          // those with a list that can be read, by their first path
	last   uint32                  // the highest number of theirs
	begun  time.Time
	notice func(error)

	frames, bytes int64 // that the index names; of who appends to it
}

// earlierPack is one pack of an earlier attempt.
type earlierPack struct {
	number uint32
	hashed bool   // it has page hashes
	size   int64  // of pack and page hashes
	first  string // path of the first of its files; "": the list cannot be read
	used   bool   // the index names a frame of it; of who appends to that

	mu      sync.Mutex
	read    bool     // guarded by mu, as is what follows
	bad     bool     // it cannot be used
	locked  bool     // its content cannot be decrypted, only its checksums verified
	good    []uint64 // fingerprints of its frames, sorted
	objects []Object // it and its page hashes
}

// EarlierFile is what earlier attempts have of one file.
type EarlierFile struct {
	Path string
	// Versions are one for each pack, the newest last. Frames is what the pack has; of a KindFile it is all, and Size
	// and Sum are those of the content. Attributes are not known.
	Versions []*File
}

// Files gives what the packs hold, by pg.ComparePaths. A list turns out to be damaged only where that is.
func (e *Earlier) Files(ctx context.Context) iter.Seq2[*EarlierFile, error] {
	return func(yield func(*EarlierFile, error) bool) {
		m := earlierMerge{e: e, waiting: e.order}
		stopped := false
		err := m.run(ctx, func(f *EarlierFile) bool {
			stopped = !yield(f, nil)
			return !stopped
		})
		for _, c := range m.active {
			err = errors.Join(err, c.ix.close())
		}
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}

// earlierMerge joins the lists. A worker fills one pack after the other in the order of files, so that at any
// path no more lists are open than there were workers.
type earlierMerge struct {
	e       *Earlier
	waiting []*earlierPack
	active  []*earlierCursor
}

// earlierCursor is a place in a list.
type earlierCursor struct {
	pack *earlierPack
	ix   *indexReader
	file *File
}

func (m *earlierMerge) run(ctx context.Context, each func(*EarlierFile) bool) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		path, err := m.next(ctx)
		if err != nil || path == "" {
			return err
		}
		f := &EarlierFile{Path: path}
		var still []*earlierCursor
		for i, c := range m.active {
			there := true
			if c.file.Path == path {
				f.Versions = append(f.Versions, c.file)
				there, err = m.e.advance(c)
			}
			if there {
				still = append(still, c)
			}
			if err != nil {
				m.active = append(still, m.active[i+1:]...)
				return err
			}
		}
		m.active = still
		slices.SortFunc(f.Versions, func(a, b *File) int { return cmp.Compare(a.Frames[0].Pack, b.Frames[0].Pack) })
		if !each(f) {
			return nil
		}
	}
}

// next gives the first path of all lists, after opening those that may have it; "" at the end.
func (m *earlierMerge) next(ctx context.Context) (string, error) {
	path := ""
	for _, c := range m.active {
		if path == "" || pg.ComparePaths(c.file.Path, path) < 0 {
			path = c.file.Path
		}
	}
	for len(m.waiting) > 0 && (path == "" || pg.ComparePaths(m.waiting[0].first, path) <= 0) {
		c, err := m.e.open(ctx, m.waiting[0])
		if err != nil {
			return "", err
		}
		m.waiting = m.waiting[1:]
		if c == nil {
			continue
		}
		m.active = append(m.active, c)
		if path == "" || pg.ComparePaths(c.file.Path, path) < 0 {
			path = c.file.Path
		}
	}
	return path, nil
}

// open opens the list of a pack's files at its first one; nil: it has none, or cannot be read.
func (e *Earlier) open(ctx context.Context, p *earlierPack) (*earlierCursor, error) {
	c := e.reader.c
	name, want := c.filesOf(e.reader.Manifest.ID, p.number)
	o, err := c.st.Open(ctx, name)
	if err == nil {
		cur := &earlierCursor{pack: p}
		if cur.ix, err = newIndexReader(o, c.d, name, want, c.Info.Geometry); err == nil {
			there, err := e.advance(cur)
			if !there || err != nil {
				return nil, err
			}
			return cur, nil
		}
	}
	if isUnusable(err) {
		e.notice(err)
		return nil, nil
	}
	return nil, err
}

// advance moves on to the next file that has frames. At the end, or where the list is damaged, it is closed: false.
func (e *Earlier) advance(c *earlierCursor) (bool, error) {
	f, err := c.ix.next()
	if err == nil {
		if err = c.pack.lists(f); err == nil {
			c.file = f
			return true, nil
		}
		err = fmt.Errorf("%s: %w: %w", c.ix.fr.name, ErrCorrupt, err)
	}
	switch {
	case errors.Is(err, io.EOF):
		err = nil
	case isUnusable(err):
		e.notice(err)
		err = nil
	}
	return false, errors.Join(err, c.ix.close())
}

// lists refuses an entry that no list of this pack's files has.
func (p *earlierPack) lists(f *File) error {
	if len(f.Frames) == 0 {
		return fmt.Errorf("%s: no frames", f.Path)
	}
	for i := range f.Frames {
		if f.Frames[i].Pack != p.number {
			return fmt.Errorf("%s: a frame of pack %d", f.Path, f.Frames[i].Pack)
		}
	}
	return nil
}

// Hashes gives the page hashes of each of these frames of a relation, nil of those that cannot be had.
func (e *Earlier) Hashes(ctx context.Context, frames []Frame) ([][]uint64, error) {
	out := make([][]uint64, len(frames))
	pieces := make([]Piece, len(frames))
	for i, f := range frames {
		pieces[i] = Piece{Depth: 0, Frame: f, Offset: int64(i)}
	}
	slices.SortFunc(pieces, func(a, b Piece) int {
		return cmp.Or(cmp.Compare(a.Frame.Pack, b.Frame.Pack), cmp.Compare(a.Frame.HashIndex, b.Frame.HashIndex))
	})
	for len(pieces) > 0 {
		n := contiguous(pieces)
		first, last := pieces[0].Frame.HashIndex, uint32(0)
		for i := range pieces[:n] {
			last = max(last, pieces[i].Frame.HashIndex-first+uint32(pieces[i].Frame.Pages()))
		}
		all, err := e.reader.hashes(ctx, pieces[0].Frame.Pack, first, last, nil)
		switch {
		case isUnusable(err):
			e.notice(err)
		case err != nil:
			return nil, err
		default:
			for i := range pieces[:n] {
				f := &pieces[i].Frame
				at := f.HashIndex - first
				out[pieces[i].Offset] = all[at:][:f.Pages()]
			}
		}
		pieces = pieces[n:]
	}
	return out, nil
}

// Take says whether the frame can be taken over: that it is stored, whole and with these page hashes. The first
// question about a pack reads it from end to end.
func (e *Earlier) Take(ctx context.Context, f *Frame) (bool, error) {
	p, err := e.verified(ctx, f.Pack)
	if p == nil || err != nil {
		return false, err
	}
	_, ok := slices.BinarySearch(p.good, fingerprint(f.header(), f.Pack, f.Offset))
	if !ok {
		e.notice(fmt.Errorf("%s%s: offset %d: %w: the list of its files means another frame",
			e.reader.prefix, packObject(f.Pack), f.Offset, ErrCorrupt))
	}
	return ok, nil
}

// TakeFile says whether a plain file can be taken over: that its frames hold what has its checksum. Who cannot read
// backups cannot tell, and takes none.
func (e *Earlier) TakeFile(ctx context.Context, f *File) (bool, error) {
	for i := range f.Frames {
		if ok, err := e.Take(ctx, &f.Frames[i]); !ok || err != nil {
			return false, err
		}
	}
	if p, err := e.verified(ctx, f.Frames[0].Pack); p == nil || p.locked || err != nil {
		return false, err
	}
	sum := xxhash.New()
	var raw []byte
	var err error
	for i := range f.Frames {
		if raw, err = e.reader.ReadFrame(ctx, f.Frames[i], raw); err != nil {
			if isUnusable(err) {
				e.notice(err)
				err = nil
			}
			return false, err
		}
		_, _ = sum.Write(raw) // never fails
	}
	return sum.Sum64() == f.Sum, nil
}

// verified gives a pack that was read and is whole, or nil.
func (e *Earlier) verified(ctx context.Context, number uint32) (*earlierPack, error) {
	p := e.packs[number]
	if p == nil {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.read {
		err := e.readPack(ctx, p)
		if err != nil && !isUnusable(err) {
			return nil, err
		}
		if p.read, p.bad = true, err != nil; p.bad {
			e.notice(err)
		}
	}
	if p.bad {
		return nil, nil
	}
	return p, nil
}

// use notes what an entry of the new index takes over.
func (e *Earlier) use(ctx context.Context, f *File) error {
	if e == nil {
		return nil
	}
	for i := range f.Frames {
		fr := &f.Frames[i]
		if fr.Pack > e.last {
			continue
		}
		p, err := e.verified(ctx, fr.Pack)
		if p == nil || err != nil {
			return errors.Join(fmt.Errorf("%s: frame of pack %d, which was not taken over", f.Path, fr.Pack), err)
		}
		p.used = true
		e.frames++
		e.bytes += int64(fr.Stored)
	}
	return nil
}

// taken adds what is taken over to the objects of a backup.
func (e *Earlier) taken(objects []Object) []Object {
	if e != nil {
		for _, p := range e.packs {
			if p.used {
				objects = append(objects, p.objects...)
			}
		}
	}
	return sortedObjects(objects)
}

// takenOver is what the manifest says.
func (e *Earlier) takenOver() *TakenOver {
	if e == nil {
		return nil
	}
	return &TakenOver{BegunAt: e.begun, Frames: e.frames, Bytes: e.bytes}
}

// useless names what a committed backup does without.
func (e *Earlier) useless() []string {
	if e == nil {
		return nil
	}
	var names []string
	for n, p := range e.packs {
		names = append(names, filesObject(n))
		if p.used {
			continue
		}
		names = append(names, packObject(n))
		if p.hashed {
			names = append(names, hashesObject(n))
		}
	}
	return names
}

// close releases open objects.
func (e *Earlier) close() error {
	if e == nil {
		return nil
	}
	return e.reader.Close()
}
