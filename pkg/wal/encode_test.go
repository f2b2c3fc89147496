package wal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// golden is a map that has something in every field.
func golden() *SegmentMap {
	m := &SegmentMap{Pages: pagemap.New(), Stretch: Stretch{
		SystemIdentifier: 7500000000000000001,
		Magic:            0xD116,
		SegmentSize:      1 << 20,
		BlockSize:        8192,
		Start:            0x0_0320_0000,
		End:              0x0_0330_0000,
		Timelines:        []TimelineStart{{1, 0x0320_0000}, {2, 0x0328_2000}},
		HeadLen:          11,
		Head:             []byte("end of rec."),
		First:            0x0320_0038,
		FirstPrev:        0x031F_FFC8,
		Last:             0x032F_FF00,
		TailStart:        0x032F_FFF0,
		Tail:             append(le(64, 700), le(0x032F_FF00, 0)...),
		Begins:           []TimelineStart{{2, 0x0328_1F58}},
		Redos:            []pg.LSN{0x0321_0028},
		Findings:         []Finding{{First: 0x0329_0000, Last: 0x0329_0100, Reason: reasonMinimal}},
	}}
	m.Pages.AddBlock(rel(16384), 7)
	return m
}

// The bytes of a map are those that docs/format.md shows.
func TestGolden(t *testing.T) {
	b, err := golden().AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	if dump := hex.Dump(b); !strings.Contains(string(doc), dump) {
		t.Errorf("docs/format.md does not show\n%s", dump)
	}
	reencode(t, golden())
}

// A map of the future is told apart from damage, and damage is never decoded.
func TestDecodeRefuses(t *testing.T) {
	good, err := golden().AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.Clone(good)
	newer[9] = 2
	if _, err := DecodeSegmentMap(newer); !errors.Is(err, pagemap.ErrNewer) {
		t.Errorf("version 2: %v", err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if _, err := DecodeSegmentMap(bad); err == nil {
			t.Errorf("byte %d changed", i)
		}
		if _, err := DecodeSegmentMap(good[:i]); err == nil {
			t.Errorf("%d bytes of %d", i, len(good))
		}
		if i >= 12 && i < len(good)-4 { // the same, rightly checksummed: no panic
			bad[i] = 0xFF
			binary.BigEndian.PutUint32(bad[len(bad)-4:], pg.CRC32C(bad[:len(bad)-4]))
			if m, err := DecodeSegmentMap(bad); err == nil {
				reencode(t, m)
			}
		}
	}
}

// What no scan can give is not encoded.
func TestEncodeRefuses(t *testing.T) {
	for name, spoil := range map[string]func(m *SegmentMap){
		"unknown magic":      func(m *SegmentMap) { m.Magic = 1 },
		"part of a segment":  func(m *SegmentMap) { m.End -= 8 },
		"no timeline":        func(m *SegmentMap) { m.Timelines = nil },
		"timelines mixed":    func(m *SegmentMap) { m.Timelines[1].Timeline = 1 },
		"head too long":      func(m *SegmentMap) { m.HeadLen = 10 },
		"head open":          func(m *SegmentMap) { m.HeadLen = 12 },
		"head overwritten":   func(m *SegmentMap) { m.Overwritten = 8 },
		"first outside":      func(m *SegmentMap) { m.First = 8 },
		"first after itself": func(m *SegmentMap) { m.FirstPrev = m.First },
		"no last":            func(m *SegmentMap) { m.Last = 0 },
		"tail without begin": func(m *SegmentMap) { m.TailStart = 0 },
		"tail that is whole": func(m *SegmentMap) { m.Tail[0] = 16 },
		"tail of few bytes":  func(m *SegmentMap) { m.Tail = m.Tail[:4] },
		"tail before last":   func(m *SegmentMap) { m.TailStart = m.Last },
		"finding of nothing": func(m *SegmentMap) { m.Findings[0].Reason = "" },
		"odd segment size":   func(m *SegmentMap) { m.SegmentSize = 1<<20 - 1 },
	} {
		m := golden()
		spoil(m)
		if _, err := m.AppendBinary(nil); err == nil {
			t.Errorf("%s was encoded", name)
		}
	}
	if _, err := golden().AppendBinary(nil); err != nil {
		t.Error(err)
	}
}
