package pagemap

import (
	"encoding/binary"
	"errors"

	"github.com/pgincr/pgincr/pkg/pg"
)

// The layout of an encoded map; docs/format.md says what the bytes mean.
const (
	magic         = "pgincrPM"
	formatVersion = 1
	headerSize    = 20 // magic, version, reserved, number of databases, number of forks
	databaseSize  = 8  // tablespace, database
	checksumSize  = 4  // CRC-32C of all bytes before
	// maxListedRuns is the number of runs up to which a chunk is encoded as
	// a list; with more it is a bitmap, which is then about as long or shorter.
	maxListedRuns = 2048
	bitmapSize    = 8192
)

// ErrNewer says that a map has a format version that this program does not
// know. Such a map is not damaged.
var ErrNewer = errors.New("page map: written by a newer pgincr")

// AppendBinary appends the map's encoding (docs/format.md, "Page map"): the same map always gives the same bytes.
// The error is always nil.
func (m *Map) AppendBinary(b []byte) ([]byte, error) {
	begin := len(b)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, formatVersion)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.databases)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.forks)))
	for _, d := range m.sortedDatabases() {
		b = binary.BigEndian.AppendUint32(b, uint32(d.spc))
		b = binary.BigEndian.AppendUint32(b, uint32(d.db))
	}
	var before pg.RelFork
	for _, rf := range m.sortedForks() {
		f := m.forks[rf]
		b = appendKey(b, before, rf)
		b = binary.AppendUvarint(b, uint64(f.limit+1)) // NoLimit becomes 0
		b = f.blocks.appendBinary(b)
		before = rf
	}
	return binary.BigEndian.AppendUint32(b, pg.CRC32C(b[begin:])), nil
}

// appendKey appends the four numbers of rf: as long as all earlier ones are those of
// the entry before, the difference to it, then the number itself.
func appendKey(b []byte, before, rf pg.RelFork) []byte {
	old := [4]uint32{uint32(before.Spc), uint32(before.DB), uint32(before.Rel), uint32(before.Fork)}
	same := true
	for i, v := range [4]uint32{uint32(rf.Spc), uint32(rf.DB), uint32(rf.Rel), uint32(rf.Fork)} {
		if same {
			b = binary.AppendUvarint(b, uint64(v-old[i]))
			same = v == old[i]
		} else {
			b = binary.AppendUvarint(b, uint64(v))
		}
	}
	return b
}

func (s *Set) appendBinary(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s.chunks)))
	next := 0 // the smallest key that can come
	for i := range s.chunks {
		c := &s.chunks[i]
		b = binary.AppendUvarint(b, uint64(int(c.key)-next))
		next = int(c.key) + 1
		b = c.appendBinary(b)
	}
	return b
}

func (c *chunk) appendBinary(b []byte) []byte {
	n := c.countRuns()
	b = binary.AppendUvarint(b, uint64(n))
	if n > maxListedRuns {
		for _, w := range c.bits { // more than maxRuns: it is one
			b = binary.BigEndian.AppendUint64(b, w)
		}
		return b
	}
	next := 0 // the first block that is not yet told of
	for r := range c.runsFrom(0) {
		b = binary.AppendUvarint(b, uint64(int(r.first)-next))
		b = binary.AppendUvarint(b, uint64(r.last-r.first))
		next = int(r.last) + 2 // between two runs one block at least is missing
	}
	return b
}
