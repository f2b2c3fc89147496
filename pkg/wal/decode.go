package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// DecodeSegmentMap reads what AppendBinary wrote. It never panics and allocates
// no more than a small multiple of len(b). A map that a newer version of this
// program wrote is an error that is pagemap.ErrNewer.
func DecodeSegmentMap(b []byte) (*SegmentMap, error) {
	m, err := decodeSegmentMap(b)
	if err != nil {
		return nil, fmt.Errorf("segment map: %w", err)
	}
	return m, nil
}

func decodeSegmentMap(b []byte) (*SegmentMap, error) {
	if len(b) < len(mapMagic)+2 || string(b[:len(mapMagic)]) != mapMagic {
		return nil, errors.New("not a segment map")
	}
	if v := binary.BigEndian.Uint16(b[8:]); v != mapVersion {
		return nil, fmt.Errorf("%w: version %d, this one reads %d", pagemap.ErrNewer, v, mapVersion)
	}
	if len(b) < mapHeaderSize+mapChecksumSize {
		return nil, fmt.Errorf("%d bytes are too few", len(b))
	}
	body, sum := b[:len(b)-mapChecksumSize], b[len(b)-mapChecksumSize:]
	if got, want := pg.CRC32C(body), binary.BigEndian.Uint32(sum); got != want {
		return nil, fmt.Errorf("checksum %08X, want %08X", got, want)
	}
	flags := binary.BigEndian.Uint16(b[14:])
	if binary.BigEndian.Uint16(b[10:]) != 0 || flags&^mapFlagHeadSwitch != 0 {
		return nil, errors.New("reserved bits are not zero")
	}
	d := &mapDecoder{b: body[12:]}
	m := &SegmentMap{}
	m.Magic = uint16(d.uint32() >> 16)
	m.HeadSwitch = flags&mapFlagHeadSwitch != 0
	m.SegmentSize, m.BlockSize = d.uint32(), d.uint32()
	m.SystemIdentifier, m.Start, m.End = d.uint64(), d.lsn(), d.lsn()
	m.HeadLen = d.uint32()
	m.Overwritten, m.First, m.FirstPrev, m.Last, m.TailStart = d.lsn(), d.lsn(), d.lsn(), d.lsn(), d.lsn()
	var n [7]uint32
	for i := range n {
		n[i] = d.uint32()
	}
	m.Timelines, m.Begins = d.timelines(n[0]), d.timelines(n[1])
	d.redos(&m.Stretch, n[2])
	d.findings(&m.Stretch, n[3])
	m.Head = bytes.Clone(d.bytes(n[4])) // or the head would keep all of b in memory
	m.Tail = bytes.Clone(d.bytes(n[5]))
	pages := d.bytes(n[6])
	if d.short || len(d.b) > 0 {
		return nil, errors.New("length contradicts the header")
	}
	if err := m.verify(); err != nil {
		return nil, err
	}
	var err error
	m.Pages, err = pagemap.Decode(pages)
	return m, err
}

// mapDecoder takes values off b. When there are too few bytes, short is set
// and the values are 0.
type mapDecoder struct {
	b     []byte
	short bool
}

// bytes takes n bytes off, which share memory with the input; nil for none.
func (d *mapDecoder) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(d.b)) {
		d.short, d.b = true, nil
	}
	if d.short || n == 0 {
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *mapDecoder) uint32() uint32 {
	if v := d.bytes(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (d *mapDecoder) uint64() uint64 {
	if v := d.bytes(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (d *mapDecoder) lsn() pg.LSN { return pg.LSN(d.uint64()) }

// has says whether n elements of size bytes at least can follow.
func (d *mapDecoder) has(n uint32, size int) bool {
	if uint64(n) > uint64(len(d.b)/size) {
		d.short, d.b = true, nil
	}
	return !d.short && n > 0
}

func (d *mapDecoder) timelines(n uint32) []TimelineStart {
	if !d.has(n, timelineSize) {
		return nil
	}
	list := make([]TimelineStart, n)
	for i := range list {
		list[i] = TimelineStart{Timeline: pg.TimelineID(d.uint32()), LSN: d.lsn()}
	}
	return list
}

func (d *mapDecoder) redos(s *Stretch, n uint32) {
	if !d.has(n, redoSize) {
		return
	}
	s.Redos = make([]pg.LSN, n)
	for i := range s.Redos {
		s.Redos[i] = d.lsn()
	}
}

func (d *mapDecoder) findings(s *Stretch, n uint32) {
	if !d.has(n, findingSize) {
		return
	}
	s.Findings = make([]Finding, 0, n)
	for range n {
		first, last := d.lsn(), d.lsn()
		var length uint32
		if v := d.bytes(2); v != nil {
			length = uint32(binary.BigEndian.Uint16(v))
		}
		s.Findings = append(s.Findings, Finding{First: first, Last: last, Reason: string(d.bytes(length))})
		if d.short {
			return
		}
	}
}
