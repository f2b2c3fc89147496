package pagemap

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Decode reads what AppendBinary wrote, and only that: any other bytes are an
// error, ErrNewer where the version is unknown. It never panics and allocates
// no more than 32 times len(b).
func Decode(b []byte) (*Map, error) {
	m, err := decode(b)
	if err != nil && !errors.Is(err, ErrNewer) {
		err = fmt.Errorf("page map: %w", err)
	}
	return m, err
}

func decode(b []byte) (*Map, error) {
	if len(b) < len(magic)+2 || string(b[:len(magic)]) != magic {
		return nil, errors.New("not a page map")
	}
	if v := binary.BigEndian.Uint16(b[len(magic):]); v != formatVersion {
		return nil, fmt.Errorf("%w: version %d, this one reads %d", ErrNewer, v, formatVersion)
	}
	if len(b) < headerSize+checksumSize {
		return nil, fmt.Errorf("%d bytes are too few", len(b))
	}
	body, sum := b[:len(b)-checksumSize], b[len(b)-checksumSize:]
	if got, want := pg.CRC32C(body), binary.BigEndian.Uint32(sum); got != want {
		return nil, fmt.Errorf("checksum %08X, want %08X", got, want)
	}
	if binary.BigEndian.Uint16(b[10:]) != 0 {
		return nil, errors.New("reserved bytes are not zero")
	}
	m := New()
	d := &decoder{b: body[headerSize:]}
	d.databases(m, binary.BigEndian.Uint32(b[12:]))
	d.forks(m, binary.BigEndian.Uint32(b[16:]))
	if d.err == nil && len(d.b) > 0 {
		d.err = fmt.Errorf("%d bytes after the last fork", len(d.b))
	}
	if d.err != nil {
		return nil, d.err
	}
	return m, nil
}

// decoder takes values off b. After an error every value is 0.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
		d.b = nil
	}
}

// bytes takes n bytes off, or fails and gives nil.
func (d *decoder) bytes(n int) []byte {
	if n > len(d.b) {
		d.fail("ends early")
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// uvarint takes a number of at most limit off. Only its shortest form is accepted.
func (d *decoder) uvarint(limit uint64, what string) uint64 {
	v, n := binary.Uvarint(d.b)
	switch {
	case d.err != nil:
		return 0
	case n <= 0:
		d.fail("ends early or has a number over 64 bits in %s", what)
		return 0
	case n > 1 && d.b[n-1] == 0:
		d.fail("%s: number %d is longer than it need be", what, v)
		return 0
	case v > limit:
		d.fail("%s: %d is over %d", what, v, limit)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) databases(m *Map, n uint32) {
	var before database
	for i := range n {
		b := d.bytes(databaseSize)
		if b == nil {
			return
		}
		db := database{pg.OID(binary.BigEndian.Uint32(b)), pg.OID(binary.BigEndian.Uint32(b[4:]))}
		if i > 0 && before.compare(db) >= 0 {
			d.fail("database %d/%d is out of order", db.spc, db.db)
			return
		}
		m.databases[db] = struct{}{}
		before = db
	}
}

func (d *decoder) forks(m *Map, n uint32) {
	var before pg.RelFork
	for i := range n {
		rf := d.key(before)
		if d.err == nil && i > 0 && rf == before {
			d.fail("fork %s appears twice", rf)
		}
		f := &fork{limit: pg.BlockNumber(d.uvarint(0xFFFFFFFF, "limit")) - 1}
		d.set(&f.blocks)
		if d.err == nil && f.limit == NoLimit && f.blocks.isEmpty() {
			d.fail("fork %s: nothing changed", rf)
		}
		if d.err != nil {
			return
		}
		m.forks[rf] = f
		before = rf
	}
}

// key reads what appendKey wrote. The order of the entries follows from the coding.
func (d *decoder) key(before pg.RelFork) pg.RelFork {
	v := [4]uint64{uint64(before.Spc), uint64(before.DB), uint64(before.Rel), uint64(before.Fork)}
	limits := [4]uint64{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, uint64(pg.InitFork)}
	same := true
	for i := range v {
		if same {
			diff := d.uvarint(limits[i]-v[i], "relation")
			same = diff == 0
			v[i] += diff
		} else {
			v[i] = d.uvarint(limits[i], "relation")
		}
	}
	return pg.RelFork{
		RelFileLocator: pg.RelFileLocator{Spc: pg.OID(v[0]), DB: pg.OID(v[1]), Rel: pg.RelFileNumber(v[2])},
		Fork:           pg.ForkNumber(v[3]),
	}
}

func (d *decoder) set(s *Set) {
	n := d.uvarint(65536, "chunks")
	if n > uint64(len(d.b)/4) { // a chunk takes four bytes at least
		d.fail("ends early")
		return
	}
	if n > 0 {
		s.chunks = make([]chunk, 0, n)
	}
	key := uint64(0)
	for range n {
		key += d.uvarint(0xFFFF, "chunk")
		if d.err == nil && key > 0xFFFF {
			d.fail("chunk %d is over 65535", key)
		}
		c := chunk{key: uint16(key)}
		d.chunk(&c)
		if d.err != nil {
			return
		}
		s.chunks = append(s.chunks, c)
		key++
	}
}

func (d *decoder) chunk(c *chunk) {
	n := int(d.uvarint(32768, "runs"))
	if n > maxListedRuns {
		d.bitmap(c, n)
		return
	}
	if d.err == nil && n == 0 {
		d.fail("chunk %d is empty", c.key)
	}
	if n > len(d.b)/2 { // a run takes two bytes at least
		d.fail("ends early")
	}
	if d.err != nil {
		return
	}
	if n > maxRuns {
		c.bits, c.nruns = new(bitmap), n
	} else {
		c.runs = make([]run, 0, n)
	}
	next := uint64(0)
	for range n {
		first := next + d.uvarint(0xFFFF, "run")
		last := first + d.uvarint(0xFFFF, "length of a run")
		if d.err == nil && last > 0xFFFF {
			d.fail("run to block %d of a chunk", last)
		}
		if d.err != nil {
			return
		}
		r := run{uint16(first), uint16(last)}
		if c.bits != nil {
			c.bits.set(r)
		} else {
			c.runs = append(c.runs, r)
		}
		next = last + 2
	}
}

// bitmap reads a chunk that has as many runs as its header said.
func (d *decoder) bitmap(c *chunk, nruns int) {
	b := d.bytes(bitmapSize)
	if b == nil {
		return
	}
	c.bits, c.nruns = new(bitmap), nruns
	for i := range c.bits {
		c.bits[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	if got := c.bits.countRuns(); got != nruns {
		d.fail("chunk %d has %d runs, not %d", c.key, got, nruns)
	}
}
