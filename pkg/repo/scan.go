package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"
)

// scan is what a Verifier found out about one backup.
type scan struct {
	v      *Verifier
	m      *Manifest
	reader *BackupReader

	mu     sync.Mutex
	frames map[uint32][]uint64 // good frames of each pack, as fingerprints, sorted; guarded by mu until all are read
	single map[uint64]bool     // good ones to which their pack could not be followed; guarded by mu
	faulty map[string]bool     // objects with damage; guarded by mu
	absent string              // an object that is missing or of another size; guarded by mu
}

func newScan(v *Verifier, m *Manifest) *scan {
	return &scan{
		v: v, m: m, reader: newBackupReader(v.c, m),
		frames: map[uint32][]uint64{}, single: map[uint64]bool{}, faulty: map[string]bool{},
	}
}

// bad says whether anything was wrong with an object; with any, when the name is "".
func (s *scan) bad(object string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faulty[object] || object == "" && len(s.faulty) > 0
}

// lacks notes an object without which no backup of a chain is opened.
func (s *scan) lacks(object string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.absent = object
}

// fault notes and reports err, or gives it back.
func (s *scan) fault(err error, object, path string) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	s.faulty[object] = true
	s.mu.Unlock()
	return s.v.fault(err, Problem{Backup: s.m.ID, Object: object, Path: path})
}

// run reads all objects, then compares the index with the packs.
func (s *scan) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.reader.Close()) }()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.v.jobs)
	for _, o := range s.m.Objects {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return s.fault(s.object(gctx, o), o.Name, "") })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return s.index(ctx)
}

// fingerprint stands for a frame and its place in a pack.
func fingerprint(h frameHeader, pack uint32, off int64) uint64 {
	var b [frameHeaderSize]byte
	h.put(b[:], uint64(pack), off)
	return xxhash.Sum64(b[:])
}

// good says whether the frame is in its pack as the index means it.
func (s *scan) good(f *Frame) bool {
	if s.v.quick {
		return s.within(f)
	}
	fp := fingerprint(f.header(), f.Pack, f.Offset)
	_, ok := slices.BinarySearch(s.frames[f.Pack], fp)
	if !ok {
		s.mu.Lock()
		ok = s.single[fp]
		s.mu.Unlock()
	}
	return ok
}

// object reads one object from end to end. Damage to single frames of a pack is reported on
// the way; the error is for what ends the reading.
func (s *scan) object(ctx context.Context, o Object) error {
	name := s.reader.prefix + o.Name
	r, err := s.v.c.st.Open(ctx, name)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			s.lacks(o.Name)
		}
		return missing(name, err)
	}
	defer func() { _ = r.Close() }() // only read
	if r.Size() != o.Size {
		s.lacks(o.Name)
		return fmt.Errorf("%s: %w: %d bytes, want %d", name, ErrCorrupt, r.Size(), o.Size)
	}
	all := xxhash.New()
	fr := &frameReader{name: name, size: o.Size}
	want, err := s.headerOf(o.Name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := fr.start(io.TeeReader(io.NewSectionReader(r, 0, o.Size), all), want); err != nil {
		return err
	}
	if want.Kind == kindPack {
		err = s.pack(ctx, fr, want.Number)
	} else {
		err = s.stream(ctx, fr)
	}
	s.v.count(func(n *VerifyStats) { n.Objects++; n.Bytes += o.Size })
	if err == nil && fmt.Sprintf("%016x", all.Sum64()) != o.Sum {
		err = fmt.Errorf("%s: %w: it is not the object that the manifest lists", name, ErrCorrupt)
	}
	return err
}

// headerOf says which header the object called name must have.
func (s *scan) headerOf(name string) (objectHeader, error) {
	c, id := s.v.c, s.m.ID
	switch {
	case name == indexObject:
		return c.backupHeader(id, kindIndex, 0), nil
	case name == controlObject:
		return c.backupHeader(id, kindControl, 0), nil
	case name == configObject:
		return c.backupHeader(id, kindConfig, 0), nil
	case strings.HasPrefix(name, walPrefix):
		return c.walHeader(kindWAL, strings.TrimPrefix(name, walPrefix)), nil
	}
	switch n, _ := packNumber(name); name {
	case packObject(n):
		return c.backupHeader(id, kindPack, n), nil
	case hashesObject(n):
		return c.backupHeader(id, kindHashes, n), nil
	}
	return objectHeader{}, fmt.Errorf("%w: no object of a backup is called that", ErrCorrupt)
}

// stream reads an object whose frames are one content.
func (s *scan) stream(ctx context.Context, fr *frameReader) error {
	content := xxhash.New()
	var raw []byte
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := fr.off
		h, payload, err := fr.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if raw, err = s.v.c.d.append(raw, payload, h.Codec, int(h.Raw), h.page()); err != nil {
			return fmt.Errorf("%s: offset %d: %w", fr.name, at, err)
		}
		_, _ = content.Write(raw) // never fails
	}
	if content.Sum64() != fr.stored.Sum {
		return fmt.Errorf("%s: %w: checksum of the content does not match", fr.name, ErrCorrupt)
	}
	return nil
}

// pack reads a pack beside its hash object.
func (s *scan) pack(ctx context.Context, fr *frameReader, number uint32) error {
	hashes := &hashStream{}
	if _, ok := s.m.object(hashesObject(number)); ok {
		name := s.reader.prefix + hashesObject(number)
		o, err := s.v.c.st.Open(ctx, name)
		if err == nil {
			defer func() { _ = o.Close() }() // only read
			hashes.fr, err = newFrameReader(o, o.Size(), name, s.v.c.backupHeader(s.m.ID, kindHashes, number))
		}
		if err != nil {
			hashes.fr = nil // it is reported when its own turn comes
		}
	}
	p := packScan{
		d: s.v.c.d, page: int(s.m.Geometry.BlockSize), fr: fr, number: number, hashes: hashes,
		fault: func(err error) error { return s.fault(err, packObject(number), "") },
	}
	err := p.run(ctx)
	slices.Sort(p.good)
	s.mu.Lock()
	s.frames[number] = p.good
	s.mu.Unlock()
	s.v.count(func(n *VerifyStats) { n.Frames += int64(len(p.good)); n.Pages += p.pages })
	return err
}
