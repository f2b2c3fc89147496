package repo

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pg"
)

// packScan is one pass over a pack.
type packScan struct {
	fault  func(error) error // takes damage; what it returns ends the pass
	d      *decompressor
	page   int // bytes
	fr     *frameReader
	number uint32
	hashes *hashStream
	raw    []byte
	good   []uint64 // fingerprints
	next   uint32   // index of the next page hash
	pages  int64
}

// run reads to the end. It goes on behind a frame whose payload is damaged, if fault lets it, since its
// header tells where the next one is. Of one that cannot be decrypted it verifies the header and the checksum.
func (p *packScan) run(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := p.fr.off
		h, payload, err := p.fr.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !p.fr.whole {
			return err
		}
		if err == nil {
			if p.fr.blind {
				err = p.header(h)
			} else {
				err = p.frame(h, payload)
			}
			if err != nil {
				err = fmt.Errorf("%s: offset %d: %w", p.fr.name, at, err)
			}
		} else {
			p.skipHashes(h)
		}
		if err == nil {
			p.good = append(p.good, fingerprint(h, p.number, at))
			continue
		}
		if err := p.fault(err); err != nil {
			return err
		}
	}
	if p.fr.stored.Sum != 0 {
		return fmt.Errorf("%s: %w: a content checksum at the end of a pack", p.fr.name, ErrCorrupt)
	}
	return nil
}

// skipHashes passes over the hashes of a frame that cannot be read.
func (p *packScan) skipHashes(h frameHeader) {
	if h.Kind == framePages {
		p.next += h.Count
		for range h.Count {
			p.hashes.next()
		}
	}
}

// header verifies of a frame what can be seen without its content.
func (p *packScan) header(h frameHeader) error {
	switch {
	case h.Kind == frameBytes && h.Count == 0 && h.First == 0:
		return nil
	case h.Kind != framePages || h.First != p.next || h.page() != p.page:
		return fmt.Errorf("%w: not a frame of a pack with pages from %d on", ErrCorrupt, p.next)
	}
	p.next += h.Count
	return nil
}

// frame verifies the content of a frame.
func (p *packScan) frame(h frameHeader, payload []byte) error {
	if h.Kind != frameBytes && h.Kind != framePages || h.Kind == frameBytes && (h.Count != 0 || h.First != 0) {
		return fmt.Errorf("%w: not a frame of a pack", ErrCorrupt)
	}
	raw, err := p.d.append(p.raw, payload, h.Codec, int(h.Raw), h.page())
	if err != nil {
		p.skipHashes(h)
		return err
	}
	p.raw = raw
	if h.Kind == frameBytes {
		return nil
	}
	bs := p.page
	if h.First != p.next || int(h.Count)*bs != len(raw) {
		return fmt.Errorf("%w: %d bytes for pages %d to %d, want %d from %d", ErrCorrupt, len(raw),
			h.First, uint64(h.First)+uint64(h.Count), len(raw)/bs, p.next)
	}
	p.next += h.Count
	p.pages += int64(h.Count)
	for i := range int(h.Count) {
		want, ok := p.hashes.next()
		if ok && want != PageHash(pg.Page(raw[i*bs:][:bs])) {
			err = fmt.Errorf("%w: page %d of the frame does not match its page hash", ErrCorrupt, i)
		}
	}
	return err
}

// index compares every frame that the index names with what the packs hold, and every plain
// file with its checksum.
func (s *scan) index(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.v.jobs)
	for f, err := range s.reader.Files(gctx) {
		if err != nil {
			if gctx.Err() == nil {
				// Its frames were verified already when the object was read, and reported.
				if err := s.indexFault(err); err != nil {
					return errors.Join(err, g.Wait())
				}
			}
			break
		}
		if len(f.Frames) == 0 && f.Kind != KindFile {
			continue
		}
		g.Go(func() error { return s.file(gctx, f) })
	}
	return errors.Join(g.Wait(), ctx.Err())
}

// indexFault reports what is wrong with the index unless the frames of the object were, too.
func (s *scan) indexFault(err error) error {
	if s.bad(indexObject) && errors.Is(err, ErrCorrupt) {
		return nil
	}
	return s.fault(err, indexObject, "")
}

// file verifies one entry of the index. It reports the first of its frames that are not good.
func (s *scan) file(ctx context.Context, f *File) error {
	var first error
	var object string
	bad := 0
	for i := range f.Frames {
		fr := &f.Frames[i]
		if s.good(fr) {
			continue
		}
		err := s.outside(fr)
		if !s.v.quick {
			err = s.lone(ctx, fr)
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
			return err
		}
		if bad++; bad == 1 {
			first, object = fmt.Errorf("%w%s", err, blocksText(fr.Runs)), packObject(fr.Pack)
		}
	}
	if bad > 1 {
		first = fmt.Errorf("%w, and %d more frames of the file", first, bad-1)
	}
	if first == nil && f.Kind == KindFile && f.Whole && !s.v.quick {
		first = s.content(ctx, f)
	}
	return s.fault(first, object, f.Path)
}

// outside is what is wrong with a frame that lies in no pack.
func (s *scan) outside(f *Frame) error {
	return fmt.Errorf("%s%s: offset %d: %w: no frame can be there, or its pack or page hashes are damaged",
		s.reader.prefix, packObject(f.Pack), f.Offset, ErrCorrupt)
}

// lone verifies a frame that the pass over its pack did not come to, or found damaged.
func (s *scan) lone(ctx context.Context, f *Frame) error {
	raw, err := s.reader.ReadFrame(ctx, *f, nil)
	if err != nil {
		return err
	}
	if f.HashIndex != NoHashes {
		want, err := s.reader.PageHashes(ctx, *f, nil)
		if err != nil {
			return err
		}
		bs := len(raw) / len(want)
		for i, w := range want {
			if w != PageHash(pg.Page(raw[i*bs:][:bs])) {
				return fmt.Errorf("%s%s: offset %d: %w: page %d of the frame does not match its page hash",
					s.reader.prefix, packObject(f.Pack), f.Offset, ErrCorrupt, i)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.single[fingerprint(f.header(), f.Pack, f.Offset)] = true
	return nil
}

// content compares a plain file's bytes with its checksum.
func (s *scan) content(ctx context.Context, f *File) error {
	sum := xxhash.New()
	var raw []byte
	var err error
	for _, fr := range f.Frames {
		if raw, err = s.reader.ReadFrame(ctx, fr, raw); err != nil {
			return err
		}
		_, _ = sum.Write(raw) // never fails
	}
	if sum.Sum64() != f.Sum {
		return fmt.Errorf("%w: content has checksum %016x, want %016x", ErrCorrupt, sum.Sum64(), f.Sum)
	}
	return nil
}
