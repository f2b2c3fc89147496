package wal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
)

// recordHeaderSize is SizeOfXLogRecord (access/xlogrecord.h).
const recordHeaderSize = 24

// maxRecordSize is the most a record can have, in bytes: palloc's limit up to
// 15, XLogRecordMaxSize (1020 MiB) from 16 on.
const maxRecordSize = 1 << 30

// Bits of xl_info that are not the resource manager's.
const (
	infoSpecialRelUpdate = 0x01 // XLR_SPECIAL_REL_UPDATE
	infoRmgrMask         = 0xF0
)

// Resource managers that are looked into (access/rmgrlist.h; the same in 13 to 18).
const (
	rmgrXLOG  = 0
	rmgrXact  = 1
	rmgrSMGR  = 2
	rmgrDBASE = 4

	rmgrLast        = 21 // RM_LOGICALMSG_ID, the last built-in one
	rmgrFirstCustom = 128
)

// record is one whole WAL record, header included.
type record []byte

func (r record) prev() pg.LSN { return pg.LSN(binary.LittleEndian.Uint64(r[8:])) }
func (r record) info() uint8  { return r[16] }
func (r record) rmid() uint8  { return r[17] }

// isSwitch says whether the rest of the segment is left empty after this record.
func (r record) isSwitch() bool { return r.rmid() == rmgrXLOG && r.info()&infoRmgrMask == xlogSwitch }

var errChecksum = errors.New("checksum of the record does not match")

// isLookedInto says whether special takes more from the record than its references.
func (r record) isLookedInto() bool {
	return r.rmid() <= rmgrDBASE || r.info()&infoSpecialRelUpdate != 0
}

// verify checks what can be checked of a record by itself: its checksum and
// that its resource manager exists (ValidXLogRecord, ValidXLogRecordHeader). Of a record that
// is cut, rest is not nil, it gets the checksum.
func (r record) verify(v *version, rest *cut) error {
	body := pg.CRC32C(r[recordHeaderSize:])
	if rest != nil {
		body = rest.crc
	}
	crc := pg.UpdateCRC32C(body, r[:20])
	if crc != binary.LittleEndian.Uint32(r[20:]) {
		return errChecksum
	}
	if id := r.rmid(); id > rmgrLast && (id < rmgrFirstCustom || !v.customRmgrs) {
		return fmt.Errorf("invalid resource manager %d", id)
	}
	return nil
}

// align rounds up to where a record can start (MAXALIGN).
func align(n uint64) uint64 { return (n + 7) &^ 7 }
