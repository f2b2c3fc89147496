package repo

import (
	"encoding/binary"
)

// entryState is what entries of one index block leave out because it follows from what came
// before in the block. Writer and reader keep it alike; it begins empty in every block.
type entryState struct {
	path     string
	mode     uint32
	uid, gid uint32
	device   uint64
	inode    uint64
	seconds  int64  // of the last modification time
	frame    Frame  // the last frame
	pages    uint32 // in it
	runEnd   uint64 // of its last run, 0 in a new entry

	arena []BlockRun // of the reader: room for the runs of many frames
}

// Bits of an entry's flags.
const (
	entryKindMask  = 0x07
	entryWhole     = 0x08
	entrySameOwner = 0x10 // mode, owner and group are those of the entry before
	entrySameDev   = 0x20 // the device as well
	entryZeros     = 0x40 // zero runs follow
	entryReserved  = 0x80
)

// Bits of a frame's flags.
const (
	frameSamePack  = 0x01 // the pack of the frame before
	frameNextByte  = 0x02 // begins where that ends
	frameSameRaw   = 0x04 // has as many bytes
	frameNextHash  = 0x08 // its hashes follow those of the frame before
	frameCodecBits = 4    // shift of two bits with the codec
	frameNoHashes  = 0x40
	frameReserved  = 0x80
)

// appendEntry appends an entry without its length.
func (s *entryState) appendEntry(b []byte, f *File) []byte {
	shared := 0
	for shared < len(s.path) && shared < len(f.Path) && s.path[shared] == f.Path[shared] {
		shared++
	}
	b = binary.AppendUvarint(b, uint64(shared))
	b = binary.AppendUvarint(b, uint64(len(f.Path)-shared))
	b = append(b, f.Path[shared:]...)
	b = s.appendAttributes(b, f)
	switch f.Kind {
	case KindDir:
	case KindLink:
		b = binary.AppendUvarint(b, uint64(len(f.Link)))
		b = append(b, f.Link...)
	case KindFile:
		b = binary.BigEndian.AppendUint64(b, f.Sum)
		b = s.appendFrames(b, f.Frames)
	case KindRelation:
		b = s.appendFrames(b, f.Frames)
		if len(f.Zero) > 0 {
			b = appendRuns(b, f.Zero, 0)
		}
	}
	s.path = f.Path
	return b
}

// appendAttributes appends what stat tells. Times are relative to the modification time.
func (s *entryState) appendAttributes(b []byte, f *File) []byte {
	flags := byte(f.Kind) & entryKindMask
	if f.Whole {
		flags |= entryWhole
	}
	sameOwner := f.Mode == s.mode && f.UID == s.uid && f.GID == s.gid
	if sameOwner {
		flags |= entrySameOwner
	}
	if f.Identity.Device == s.device {
		flags |= entrySameDev
	}
	if len(f.Zero) > 0 {
		flags |= entryZeros
	}
	b = append(b, flags)
	if !sameOwner {
		b = binary.AppendUvarint(b, uint64(f.Mode))
		b = binary.AppendUvarint(b, uint64(f.UID))
		b = binary.AppendUvarint(b, uint64(f.GID))
		s.mode, s.uid, s.gid = f.Mode, f.UID, f.GID
	}
	if f.Identity.Device != s.device {
		b = binary.AppendUvarint(b, f.Identity.Device)
		s.device = f.Identity.Device
	}
	b = binary.AppendVarint(b, int64(f.Identity.Inode-s.inode))
	s.inode = f.Identity.Inode
	sec, nsec := f.ModTime.Unix(), int64(f.ModTime.Nanosecond())
	b = binary.AppendVarint(b, sec-s.seconds)
	b = binary.AppendUvarint(b, uint64(nsec))
	s.seconds = sec
	ns := sec*1e9 + nsec // wraps for times that no file has; reading wraps back
	b = binary.AppendVarint(b, f.Identity.ModTime-ns)
	b = binary.AppendVarint(b, f.Identity.ChangeTime-ns)
	b = binary.AppendVarint(b, f.Identity.BirthTime-ns)
	return binary.AppendUvarint(b, uint64(f.Size))
}

func (s *entryState) appendFrames(b []byte, frames []Frame) []byte {
	b = binary.AppendUvarint(b, uint64(len(frames)))
	s.runEnd = 0
	for i := range frames {
		b = s.appendFrame(b, &frames[i])
	}
	return b
}

// appendFrame appends a frame: flags, what the flags do not say, and its checksum.
func (s *entryState) appendFrame(b []byte, f *Frame) []byte {
	prev := &s.frame
	flags := byte(f.Codec) << frameCodecBits
	if f.Pack == prev.Pack {
		flags |= frameSamePack
	}
	if f.Offset == prev.Offset+int64(prev.Stored) {
		flags |= frameNextByte
	}
	if f.Raw == prev.Raw {
		flags |= frameSameRaw
	}
	switch f.HashIndex {
	case NoHashes:
		flags |= frameNoHashes
	case s.nextHash():
		flags |= frameNextHash
	}
	b = append(b, flags)
	if flags&frameSamePack == 0 {
		b = binary.AppendUvarint(b, uint64(f.Pack))
	}
	if flags&frameNextByte == 0 {
		b = binary.AppendUvarint(b, uint64(f.Offset))
	}
	if flags&frameSameRaw == 0 {
		b = binary.AppendUvarint(b, uint64(f.Raw))
	}
	b = binary.AppendUvarint(b, uint64(f.Stored-frameHeaderSize))
	b = binary.BigEndian.AppendUint64(b, f.Sum)
	if flags&(frameNoHashes|frameNextHash) == 0 {
		b = binary.AppendUvarint(b, uint64(f.HashIndex))
	}
	if flags&frameNoHashes == 0 {
		b = appendRuns(b, f.Runs, s.runEnd)
	}
	s.setFrame(f)
	return b
}

// nextHash is the index behind the hashes of the frame before, when that has any.
func (s *entryState) nextHash() uint32 {
	if s.frame.HashIndex == NoHashes {
		return 0
	}
	return s.frame.HashIndex + s.pages
}

// setFrame remembers a frame.
func (s *entryState) setFrame(f *Frame) {
	s.pages = uint32(f.Pages())
	s.frame = *f
	s.frame.Runs = nil
	if n := len(f.Runs); n > 0 {
		s.runEnd = f.Runs[n-1].end()
	}
}

// appendRuns appends the number of runs and for each the gap since the end of the one
// before (at, for the first), which is negative when they are out of order, and the count.
func appendRuns(b []byte, runs []BlockRun, at uint64) []byte {
	b = binary.AppendUvarint(b, uint64(len(runs)))
	for _, r := range runs {
		b = binary.AppendVarint(b, int64(uint64(r.First)-at))
		b = binary.AppendUvarint(b, uint64(r.Count))
		at = r.end()
	}
	return b
}
