package repo

import (
	"context"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

const (
	// packTarget is the size at which a pack is full.
	packTarget = 256 << 20
	// hashBlock is how many page hashes make a frame of a hash object.
	hashBlock = 512
	// hashStride is the distance between the frames of a hash object, all of which but the
	// last are full.
	hashStride = frameHeaderSize + hashBlock*8
)

// PackWriter is one worker's end of the backup: it owns the current pack and starts a new
// one when that is full. Not safe for concurrent use.
//
// Memory: 1 MiB of frame, 5 MiB of compressor at the default level, two buffers of the store, and a block of
// the list of the pack's files, with a buffer for that of a pack of very many.
type PackWriter struct {
	b      *BackupWriter
	z      *compressor
	number uint32       // of the current pack
	pack   *frameWriter // nil: none is open
	hashes *hashWriter  // nil: no frame of the pack has any
	files  *filesWriter // nil: of no frame of the pack it is known what it is of
	frame  []byte
	err    error // sticky
}

// WriteFrame compresses raw (at most MaxFrame bytes) and appends it. hashes has one
// PageHash for each page of a relation frame and is nil otherwise. The caller fills Runs.
// Incompressible data is stored as it is.
func (p *PackWriter) WriteFrame(ctx context.Context, raw []byte, hashes []uint64) (Frame, error) {
	if p.err != nil {
		return Frame{}, p.err
	}
	f, err := p.write(ctx, len(raw), hashes, func() ([]byte, Codec) {
		var codec Codec
		p.frame, codec = p.compress(raw, hashes)
		return p.frame, codec
	})
	p.err = err
	return f, err
}

// compress compresses the content of a frame, pages if it has hashes, behind the room for its header.
func (p *PackWriter) compress(raw []byte, hashes []uint64) ([]byte, Codec) {
	into := p.frame[:frameHeaderSize]
	if len(hashes) == 0 {
		return p.z.append(into, raw)
	}
	return p.z.appendPages(into, raw, p.b.slice(raw, hashes), len(raw)/len(hashes))
}

// CopyFrame appends a frame as another pack has it, without compressing it again. hashes are as for
// WriteFrame. The frame that is read is used up.
func (p *PackWriter) CopyFrame(ctx context.Context, s *StoredFrame, hashes []uint64) (Frame, error) {
	if p.err != nil {
		return Frame{}, p.err
	}
	f, err := p.write(ctx, len(s.Raw), hashes, func() ([]byte, Codec) { return s.frame, s.codec })
	p.err = err
	return f, err
}

// write appends a frame of so many bytes; payload gives it, compressed, behind the room for its header.
func (p *PackWriter) write(
	ctx context.Context, raw int, hashes []uint64, payload func() ([]byte, Codec),
) (Frame, error) {
	if raw == 0 || raw > MaxFrame || len(hashes) > 0 && raw%len(hashes) != 0 {
		return Frame{}, fmt.Errorf("frame of %d bytes with %d page hashes", raw, len(hashes))
	}
	if err := ctx.Err(); err != nil {
		return Frame{}, err
	}
	if p.pack != nil && p.pack.off >= p.b.packTarget {
		// Only now, so that Holds was told of all its frames.
		if err := p.finish(ctx, true); err != nil {
			return Frame{}, err
		}
	}
	if err := p.open(ctx, len(hashes) > 0); err != nil {
		return Frame{}, err
	}
	h := frameHeader{Kind: frameBytes, Raw: uint32(raw)}
	f := Frame{Pack: p.number, Offset: p.pack.off, Raw: h.Raw, HashIndex: NoHashes}
	if len(hashes) > 0 {
		h.Kind, h.Count, h.First = framePages, uint32(len(hashes)), p.hashes.count
		f.HashIndex = h.First
		if err := p.hashes.append(hashes); err != nil {
			return Frame{}, err
		}
	}
	var frame []byte
	frame, h.Codec = payload()
	if err := p.pack.append(&h, frame); err != nil {
		return Frame{}, err
	}
	f.Codec, f.Stored, f.Sum = h.Codec, h.Stored+frameHeaderSize, h.Sum
	return f, nil
}

// open begins a pack, and its hash object, when there is none.
func (p *PackWriter) open(ctx context.Context, withHashes bool) error {
	var err error
	if p.z == nil {
		p.frame = make([]byte, frameHeaderSize)
		if p.z, err = newCompressor(p.b.z); err != nil {
			return err
		}
	}
	if p.pack == nil {
		p.number = p.b.packs.Add(1)
		if p.pack, err = p.b.newObject(ctx, packObject(p.number), kindPack, p.number); err != nil {
			return err
		}
	}
	if withHashes && p.hashes == nil {
		fw, err := p.b.newObject(ctx, hashesObject(p.number), kindHashes, p.number)
		if err != nil {
			return err
		}
		p.hashes = &hashWriter{fw: fw, sum: xxhash.New(), buf: make([]byte, frameHeaderSize, hashStride+tagSize)}
	}
	return nil
}

// Holds tells what the frames are of that were just written: some of a relation, or all of a plain file. It
// goes into the list of the pack's files, by which the backup can be taken up again should it be interrupted.
func (p *PackWriter) Holds(ctx context.Context, f *File) error {
	if p.err != nil || len(f.Frames) == 0 {
		return p.err
	}
	if p.files == nil {
		p.files = p.newFilesWriter(ctx)
	}
	p.err = p.files.add(f)
	return p.err
}

// finish publishes the current pack, after its hashes and before the list of its files, if that is wanted.
func (p *PackWriter) finish(ctx context.Context, listed bool) error {
	if p.hashes != nil {
		o, err := p.hashes.commit(ctx)
		p.hashes = nil
		if err != nil {
			return err
		}
		p.b.addObject(hashesObject(p.number), o)
	}
	if p.pack != nil {
		o, err := p.pack.commit(ctx, 0)
		p.pack = nil
		if err != nil {
			return err
		}
		p.b.addObject(packObject(p.number), o)
	}
	files := p.files
	p.files = nil
	if files == nil {
		return nil
	}
	if !listed {
		return files.abort()
	}
	there, err := files.commit(ctx)
	if there {
		p.b.addFinished(p.number)
	}
	return err
}

// Close finishes the worker's pack: durable, listed for the manifest. It gets no list of its files, which only
// spares who takes up an interrupted backup what one worker has stored last.
func (p *PackWriter) Close(ctx context.Context) error {
	if p.err != nil {
		return p.err
	}
	if p.err = p.finish(ctx, false); p.err != nil {
		return p.err
	}
	p.err = errors.New("pack writer is closed")
	p.b.packClosed(p)
	return nil
}

// abort drops the current pack.
func (p *PackWriter) abort() error {
	var err error
	if p.pack != nil {
		err = p.pack.abort()
	}
	if p.hashes != nil {
		err = errors.Join(err, p.hashes.fw.abort())
	}
	if p.files != nil {
		err = errors.Join(err, p.files.abort())
	}
	p.pack, p.hashes, p.files = nil, nil, nil
	if p.err == nil {
		p.err = errors.New("backup was aborted")
	}
	return err
}
