package repo

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
)

// errEntry is what every kind of nonsense in an index entry is; the caller names the place.
var errEntry = errors.New("not an index entry")

// entryReader takes an entry apart. After something was wrong all it gives is zero and err says so.
type entryReader struct {
	b   []byte
	err error
}

func (r *entryReader) fail() { r.b, r.err = nil, errEntry }

// uvarint reads a number of at most limit.
func (r *entryReader) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > limit || n > 1 && r.b[n-1] == 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *entryReader) varint() int64 {
	u := r.uvarint(math.MaxUint64)
	return int64(u>>1) ^ -int64(u&1)
}

func (r *entryReader) byte() byte {
	b := r.bytes(1)
	if b == nil {
		return 0
	}
	return b[0]
}

// bytes gives the next n, or nil.
func (r *entryReader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *entryReader) uint64() uint64 {
	b := r.bytes(8)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// readPath gives the path of the entry that r begins with, and leaves r behind it.
func (s *entryState) readPath(r *entryReader) string {
	shared := r.uvarint(uint64(len(s.path)))
	suffix := r.bytes(r.uvarint(maxPath))
	if shared+uint64(len(suffix)) > maxPath {
		r.fail()
	}
	if r.err != nil {
		return ""
	}
	s.path = s.path[:shared] + string(suffix)
	return s.path
}

// readEntry reads what follows the path.
func (s *entryState) readEntry(r *entryReader, f *File) error {
	flags := s.readAttributes(r, f)
	switch f.Kind {
	case KindDir:
	case KindLink:
		f.Link = string(r.bytes(r.uvarint(maxPath)))
	case KindFile:
		f.Sum = r.uint64()
		s.readFrames(r, f)
	case KindRelation:
		s.readFrames(r, f)
		if flags&entryZeros != 0 {
			f.Zero = s.readRuns(r, 0)
			flags &^= entryZeros
		}
	}
	if len(r.b) > 0 || flags&(entryReserved|entryZeros) != 0 {
		r.fail()
	}
	return r.err
}

// readAttributes is the inverse of appendAttributes.
func (s *entryState) readAttributes(r *entryReader, f *File) (flags byte) {
	flags = r.byte()
	f.Kind = FileKind(flags & entryKindMask)
	f.Whole = flags&entryWhole != 0
	if flags&entrySameOwner == 0 {
		s.mode = uint32(r.uvarint(math.MaxUint32))
		s.uid = uint32(r.uvarint(math.MaxUint32))
		s.gid = uint32(r.uvarint(math.MaxUint32))
	}
	if flags&entrySameDev == 0 {
		s.device = r.uvarint(math.MaxUint64)
	}
	s.inode += uint64(r.varint())
	s.seconds += r.varint()
	nsec := r.uvarint(999_999_999)
	f.Mode, f.UID, f.GID = s.mode, s.uid, s.gid
	f.ModTime = time.Unix(s.seconds, int64(nsec)).UTC()
	ns := s.seconds*1e9 + int64(nsec)
	f.Identity = Identity{Device: s.device, Inode: s.inode}
	f.Identity.ModTime = ns + r.varint()
	f.Identity.ChangeTime = ns + r.varint()
	f.Identity.BirthTime = ns + r.varint()
	f.Size = int64(r.uvarint(math.MaxInt64))
	return flags
}

// minFrameEntry is the least a frame takes in an entry: flags, length and checksum.
const minFrameEntry = 10

func (s *entryState) readFrames(r *entryReader, f *File) {
	n := r.uvarint(uint64(len(r.b) / minFrameEntry))
	if n == 0 {
		return
	}
	f.Frames = make([]Frame, n)
	s.runEnd = 0
	for i := range f.Frames {
		s.readFrame(r, &f.Frames[i])
		if r.err != nil {
			f.Frames = nil
			return
		}
	}
}

// readFrame is the inverse of appendFrame.
func (s *entryState) readFrame(r *entryReader, f *Frame) {
	flags := r.byte()
	prev := &s.frame
	f.Codec = Codec(flags >> frameCodecBits & 3)
	if f.Pack = prev.Pack; flags&frameSamePack == 0 {
		f.Pack = uint32(r.uvarint(math.MaxUint32))
	}
	if f.Offset = prev.Offset + int64(prev.Stored); flags&frameNextByte == 0 {
		f.Offset = int64(r.uvarint(math.MaxInt64 - maxStored))
	}
	if f.Raw = prev.Raw; flags&frameSameRaw == 0 {
		f.Raw = uint32(r.uvarint(MaxFrame))
	}
	f.Stored = uint32(r.uvarint(MaxFrame+tagSize)) + frameHeaderSize
	f.Sum = r.uint64()
	switch {
	case flags&frameNoHashes != 0 && flags&frameNextHash != 0 || flags&frameReserved != 0:
		r.fail()
	case flags&frameNoHashes != 0:
		f.HashIndex = NoHashes
	case flags&frameNextHash != 0:
		f.HashIndex = s.nextHash()
	default:
		f.HashIndex = uint32(r.uvarint(NoHashes - 1))
	}
	if flags&frameNoHashes == 0 {
		f.Runs = s.readRuns(r, s.runEnd)
	}
	s.setFrame(f)
}

// readRuns is the inverse of appendRuns.
func (s *entryState) readRuns(r *entryReader, at uint64) []BlockRun {
	n := int(r.uvarint(uint64(len(r.b) / 2)))
	if n == 0 {
		return nil
	}
	if cap(s.arena)-len(s.arena) < n {
		s.arena = make([]BlockRun, 0, max(n, min(128, len(r.b)/2)))
	}
	begin := len(s.arena)
	for range n {
		first := int64(at) + r.varint()
		count := r.uvarint(math.MaxUint32)
		if first < 0 || count == 0 || uint64(first)+count > uint64(pg.MaxBlock)+1 {
			r.fail()
			return nil
		}
		s.arena = append(s.arena, BlockRun{pg.BlockNumber(first), pg.BlockNumber(count)})
		at = uint64(first) + count
	}
	return s.arena[begin:len(s.arena):len(s.arena)]
}
