package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// readPack reads a pack and its page hashes from end to end, verifies all that verify does, and keeps what
// manifest and Take need. Nothing of the pack is used when anything is wrong. Where the content cannot be decrypted,
// the checksums of what is stored are verified.
func (e *Earlier) readPack(ctx context.Context, p *earlierPack) error {
	c, id := e.reader.c, e.reader.Manifest.ID
	stream := &hashStream{}
	var count uint64
	p.objects = nil
	if p.hashed {
		name := hashesObject(p.number)
		want := c.backupHeader(id, kindHashes, p.number)
		o, err := e.readObject(ctx, name, want, func(fr *frameReader) (err error) {
			count, err = e.countHashes(ctx, fr)
			return err
		})
		if err != nil {
			return err
		}
		p.objects = append(p.objects, o)
		r, err := c.st.Open(ctx, e.reader.prefix+name)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }() // only read
		if stream.fr, err = newFrameReader(r, r.Size(), e.reader.prefix+name, want); err != nil {
			return err
		}
	}
	want := c.backupHeader(id, kindPack, p.number)
	o, err := e.readObject(ctx, packObject(p.number), want, func(fr *frameReader) error {
		s := packScan{
			d: c.d, page: int(c.Info.Geometry.BlockSize), fr: fr, number: p.number, hashes: stream,
			fault: func(err error) error { return err }, // the first thing that is wrong is enough
		}
		p.locked = fr.bind.locked != nil
		fr.blind = p.locked
		if err := s.run(ctx); err != nil {
			return err
		}
		if uint64(s.next) != count || p.hashed && stream.fr == nil {
			return fmt.Errorf("%s: %w: %d pages and %d page hashes", fr.name, ErrCorrupt, s.next, count)
		}
		slices.Sort(s.good)
		p.good = s.good
		return nil
	})
	p.objects = append(p.objects, o)
	return err
}

// readObject reads an object, of which read takes all frames, and gives its row in a manifest.
func (e *Earlier) readObject(
	ctx context.Context, name string, want objectHeader, read func(*frameReader) error,
) (Object, error) {
	full := e.reader.prefix + name
	o, err := e.reader.c.st.Open(ctx, full)
	if err != nil {
		return Object{}, err
	}
	defer func() { _ = o.Close() }() // only read
	all := xxhash.New()
	fr := &frameReader{name: full, size: o.Size()}
	if err := fr.start(io.TeeReader(io.NewSectionReader(o, 0, o.Size()), all), want); err != nil {
		return Object{}, err
	}
	if err := read(fr); err != nil {
		return Object{}, err
	}
	return Object{Name: name, Size: o.Size(), Sum: FormatSum(all.Sum64())}, nil
}

// countHashes reads page hashes to the end.
func (e *Earlier) countHashes(ctx context.Context, fr *frameReader) (n uint64, err error) {
	content := xxhash.New()
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		h, payload, err := fr.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		// All but the last are full, so that each is where who looks for it reads.
		if h.Kind != frameHashes || h.Codec != CodecNone || uint64(h.First) != n || h.Raw != 8*h.Count ||
			n%hashBlock != 0 || h.Count == 0 || h.Count > hashBlock {
			return 0, fmt.Errorf("%s: %w: not page hashes from %d on", fr.name, ErrCorrupt, n)
		}
		_, _ = content.Write(payload) // never fails
		n += uint64(h.Count)
	}
	if content.Sum64() != fr.stored.Sum {
		return 0, fmt.Errorf("%s: %w: checksum of the content does not match", fr.name, ErrCorrupt)
	}
	return n, nil
}
