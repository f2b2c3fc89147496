package wal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
)

// LandmarkKind tells what a Landmark is.
type LandmarkKind uint8

// The kinds.
const (
	TransactionEnd LandmarkKind = iota + 1 // commit or abort, of a prepared transaction too
	RestorePoint                           // pg_create_restore_point
)

// Landmark is a record at which recovery can be told to stop
// (recovery_target_time, _xid and _name).
type Landmark struct {
	Kind LandmarkKind
	LSN  pg.LSN // where the record begins
	Time time.Time
	XID  uint32 // of a TransactionEnd
	Name string // of a RestorePoint
}

// SegmentPart is the WAL [Start, End) of one segment, whose file is called Name.
type SegmentPart struct {
	Name       string
	Start, End pg.LSN // Start is the begin of the segment
}

// Readable gives the last position up to end at which a SegmentPart can end: not within the header of a page.
func Readable(g pg.Geometry, end pg.LSN) pg.LSN {
	if into := end % pg.LSN(g.WALBlockSize); into < longHeaderSize {
		return end - into
	}
	return end
}

// Landmarks yields the landmarks of adjacent parts in their order, read from the files that open gives.
// All that is proved of WAL elsewhere is proved here, except that the parts belong to one
// cluster. A record that begins before the first part is not looked at.
//
// Memory: a scanner and one buffer, the landmarks of a segment, and a record that crosses segments: cutFrom, or
// all of one that may be a landmark. A record is never too long here: a restore does not fail for that.
func Landmarks(
	ctx context.Context, parts []SegmentPart, open func(ctx context.Context, name string) (io.ReadCloser, error),
) iter.Seq2[Landmark, error] {
	return func(yield func(Landmark, error) bool) {
		l := landmarks{reader: newReader(nil, ""), open: open}
		for _, p := range parts {
			err := l.read(ctx, p)
			for _, m := range l.found {
				if !yield(m, nil) {
					return
				}
			}
			if err != nil {
				yield(Landmark{}, fmt.Errorf("WAL segment %s: %w", p.Name, err))
				return
			}
		}
	}
}

// landmarks is one pass.
type landmarks struct {
	reader *reader
	open   func(ctx context.Context, name string) (io.ReadCloser, error)
	found  []Landmark // in the current segment
	into   Stretch    // with nothing but the tail, which runs into the next one
}

// read looks at one segment.
func (l *landmarks) read(ctx context.Context, p SegmentPart) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := l.open(ctx, p.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	l.found = l.found[:0]
	l.reader.scanner.watch = func(r record, main []byte, lsn pg.LSN) { l.look(r, main, lsn) }
	m, err := l.reader.scan(f, scanOrder{start: p.Start, stop: p.End})
	if err != nil {
		return err
	}
	return l.join(m)
}

// join looks at the record that crosses into the segment, and keeps that which crosses out of it.
func (l *landmarks) join(m *SegmentMap) error {
	begun := l.into
	if begun.TailStart != 0 {
		begun.addToTail(m.Head)
	}
	if m.headOpen() {
		l.into = begun
		return nil
	}
	l.into = Stretch{TailStart: m.TailStart, Tail: m.Tail}
	if begun.TailStart == 0 || begun.tailLen() != uint64(totalLen(begun.Tail)) {
		return nil // nothing came in, or its rest was lost in a crash
	}
	r := record(begun.Tail)
	c := &l.reader.scanner.collector
	if err := r.verify(c.version, begun.cut); err != nil {
		return fmt.Errorf("record at %s: %w", begun.TailStart, err)
	}
	before := len(l.found)
	main, err := c.references(r, int(begun.tailLen()))
	if err != nil {
		return fmt.Errorf("record at %s: %w", begun.TailStart, err)
	}
	l.look(r, main, begun.TailStart)
	if n := len(l.found); n > before { // it comes before the others of the segment
		first := l.found[n-1]
		copy(l.found[1:], l.found[:n-1])
		l.found[0] = first
	}
	return nil
}

// xlogRestorePoint is XLOG_RESTORE_POINT (catalog/pg_control.h).
const xlogRestorePoint = 0x70

// look adds a record if it is a landmark.
func (l *landmarks) look(r record, main []byte, lsn pg.LSN) {
	const timeSize = 8 // TimestampTz comes first in all of them
	if len(main) < timeSize {
		return
	}
	m := Landmark{LSN: lsn, Time: timestamp(binary.LittleEndian.Uint64(main))}
	switch r.rmid() {
	case rmgrXLOG:
		if r.info()&infoRmgrMask != xlogRestorePoint {
			return
		}
		name, _, _ := bytes.Cut(main[timeSize:], []byte{0})
		m.Kind, m.Name = RestorePoint, string(name)
	case rmgrXact:
		switch r.info() & xactOpMask {
		case xactCommit, xactAbort:
			m.XID = binary.LittleEndian.Uint32(r[4:])
		case xactCommitPrepared, xactAbortPrepared:
			m.XID = preparedXID(r.info(), main, l.reader.scanner.version)
		default:
			return
		}
		m.Kind = TransactionEnd
	default:
		return
	}
	l.found = append(l.found, m)
}

// timestamp converts a TimestampTz: microseconds since 2000 (datatype/timestamp.h).
func timestamp(v uint64) time.Time {
	const epoch = 946_684_800 // 2000-01-01, in seconds of Unix
	return time.Unix(epoch+int64(v)/1_000_000, int64(v)%1_000_000*1000).UTC()
}

// More flags of the body of RM_XACT_ID (access/xact.h).
const (
	xactHasInvals       = 0x08
	xactHasTwophase     = 0x10
	xactHasDroppedStats = 0x100 // 15+
)

// preparedXID gives the transaction that a record about a prepared one ends: 0 if the
// record does not tell (ParseCommitRecord and ParseAbortRecord, access/rmgrdesc/xactdesc.c).
func preparedXID(info uint8, main []byte, v *version) uint32 {
	le := binary.LittleEndian
	if info&xactHasInfo == 0 || len(main) < 12 {
		return 0
	}
	xinfo, p := le.Uint32(main[8:]), main[12:]
	skip := func(n uint64) bool {
		if n > uint64(len(p)) {
			return false
		}
		p = p[n:]
		return true
	}
	if xinfo&xactHasDBInfo != 0 && !skip(8) {
		return 0
	}
	stats := uint64(12) // xl_xact_stats_item
	if v.major >= 18 {
		stats = 16
	}
	for _, list := range []struct{ flag, size uint64 }{
		{xactHasSubxacts, 4}, {xactHasRelLocators, 12}, {xactHasDroppedStats, stats}, {xactHasInvals, 16},
	} {
		if uint64(xinfo)&list.flag == 0 {
			continue
		}
		if len(p) < 4 || !skip(4+uint64(le.Uint32(p))*list.size) {
			return 0
		}
	}
	if xinfo&xactHasTwophase == 0 || len(p) < 4 {
		return 0
	}
	return le.Uint32(p)
}
