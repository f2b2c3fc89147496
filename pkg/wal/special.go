package wal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Opcodes of RM_XLOG_ID (catalog/pg_control.h).
const (
	xlogCheckpointShutdown  = 0x00
	xlogCheckpointOnline    = 0x10
	xlogSwitch              = 0x40
	xlogParameterChange     = 0x60
	xlogFPWChange           = 0x80
	xlogEndOfRecovery       = 0x90
	xlogOverwriteContrecord = 0xD0
	xlogCheckpointRedo      = 0xE0
)

// Opcodes of RM_XACT_ID (access/xact.h) and flags of their body.
const (
	xactOpMask         = 0x70
	xactCommit         = 0x00
	xactAbort          = 0x20
	xactCommitPrepared = 0x30
	xactAbortPrepared  = 0x40
	xactHasInfo        = 0x80
	xactHasDBInfo      = 0x01
	xactHasSubxacts    = 0x02
	xactHasRelLocators = 0x04
)

// Opcodes of RM_SMGR_ID (catalog/storage_xlog.h) and flags of truncation.
const (
	smgrCreate       = 0x10
	smgrTruncate     = 0x20
	smgrTruncateHeap = 0x0001
	smgrTruncateVM   = 0x0002
)

const (
	reasonMinimal = "wal_level was minimal"
	reasonFPW     = "full_page_writes was off"
	reasonUnknown = "changes relations in a way that is not known" // the end of it
)

var errShortData = errors.New("main data is shorter than its kind of record demands")

// special looks into the records that say more than their block references do, and finds those
// that might but are not known.
func (c *collector) special(r record, main []byte, lsn pg.LSN) error {
	op := r.info() & infoRmgrMask
	var known bool
	var err error
	special := r.info()&infoSpecialRelUpdate != 0
	switch r.rmid() {
	case rmgrXLOG:
		known, err = !special, c.xlog(op, main, lsn)
	case rmgrXact:
		known, err = c.xact(r.info(), main)
	case rmgrSMGR:
		known, err = c.smgr(op, main)
	case rmgrDBASE:
		known, err = c.dbase(op, main)
	default:
		known = !special
	}
	if err != nil {
		return fmt.Errorf("resource manager %d, info %#02x: %w", r.rmid(), r.info(), err)
	}
	if !known {
		c.find(lsn, fmt.Sprintf("record of resource manager %d, info %#02x, %s", r.rmid(), r.info(), reasonUnknown))
	}
	return nil
}

// xlog takes the records of the WAL itself; none of them changes a relation
// but by block references.
func (c *collector) xlog(op uint8, main []byte, lsn pg.LSN) error {
	switch op {
	case xlogCheckpointShutdown, xlogCheckpointOnline:
		return c.checkpoint(op, main, lsn)
	case xlogCheckpointRedo:
		if c.version.checkpointWALLevel {
			c.redos = append(c.redos, lsn)
			return c.walLevel(main, 0, lsn)
		}
	case xlogParameterChange:
		return c.walLevel(main, 20, lsn)
	case xlogEndOfRecovery:
		if len(main) < 16 {
			return errShortData
		}
		c.timelines(main[8:], lsn)
		if c.version.checkpointWALLevel {
			return c.walLevel(main, 16, lsn)
		}
	case xlogFPWChange:
		if len(main) < 1 {
			return errShortData
		}
		if main[0] == 0 {
			c.find(lsn, reasonFPW)
		}
	}
	return nil
}

// checkpoint takes struct CheckPoint (catalog/pg_control.h).
func (c *collector) checkpoint(op uint8, main []byte, lsn pg.LSN) error {
	if len(main) < 24 {
		return errShortData
	}
	if op == xlogCheckpointShutdown {
		c.timelines(main[8:], lsn)
	}
	c.redos = append(c.redos, pg.LSN(binary.LittleEndian.Uint64(main)))
	if main[16] == 0 {
		c.find(lsn, reasonFPW)
	}
	if c.version.checkpointWALLevel {
		return c.walLevel(main, 20, lsn)
	}
	return nil
}

// timelines takes ThisTimeLineID and PrevTimeLineID, which differ in the
// record that begins a timeline.
func (c *collector) timelines(p []byte, lsn pg.LSN) {
	if tli := binary.LittleEndian.Uint32(p); tli != binary.LittleEndian.Uint32(p[4:]) {
		c.begins = append(c.begins, TimelineStart{Timeline: pg.TimelineID(tli), LSN: lsn})
	}
}

// walLevel takes the wal_level, an int, that main has at off.
func (c *collector) walLevel(main []byte, off int, lsn pg.LSN) error {
	if len(main) < off+4 {
		return errShortData
	}
	if binary.LittleEndian.Uint32(main[off:]) == 0 {
		c.find(lsn, reasonMinimal)
	}
	return nil
}

// xact takes the relations that the end of a transaction dropped
// (ParseCommitRecord and ParseAbortRecord in access/rmgrdesc/xactdesc.c).
func (c *collector) xact(info uint8, main []byte) (known bool, err error) {
	switch info & xactOpMask {
	case xactCommit, xactAbort, xactCommitPrepared, xactAbortPrepared:
	default:
		return info&infoSpecialRelUpdate == 0, nil
	}
	if info&xactHasInfo == 0 {
		return true, nil
	}
	const timeSize = 8
	if len(main) < timeSize+4 {
		return true, errShortData
	}
	has := binary.LittleEndian.Uint32(main[timeSize:])
	main = main[timeSize+4:]
	if has&xactHasDBInfo != 0 {
		if len(main) < 8 {
			return true, errShortData
		}
		main = main[8:]
	}
	if has&xactHasSubxacts != 0 {
		if _, main, err = array(main, 4); err != nil {
			return true, err
		}
	}
	if has&xactHasRelLocators == 0 {
		return true, nil
	}
	rels, _, err := array(main, relLocatorSize)
	if err != nil {
		return true, err
	}
	for ; len(rels) > 0; rels = rels[relLocatorSize:] {
		rf := pg.RelFork{RelFileLocator: relLocator(rels)}
		for rf.Fork = pg.MainFork; rf.Fork <= pg.InitFork; rf.Fork++ {
			c.pages.AddLimit(rf, 0)
		}
	}
	return true, nil
}

// array cuts an int count and so many elements off p.
func array(p []byte, elemSize int) (elems, rest []byte, err error) {
	if len(p) < 4 {
		return nil, nil, errShortData
	}
	n := int(int32(binary.LittleEndian.Uint32(p)))
	p = p[4:]
	if n < 0 || n > len(p)/elemSize {
		return nil, nil, errShortData
	}
	return p[:n*elemSize], p[n*elemSize:], nil
}

func relLocator(p []byte) pg.RelFileLocator {
	return pg.RelFileLocator{
		Spc: pg.OID(binary.LittleEndian.Uint32(p)),
		DB:  pg.OID(binary.LittleEndian.Uint32(p[4:])),
		Rel: pg.RelFileNumber(binary.LittleEndian.Uint32(p[8:])),
	}
}

// smgr takes the creation and truncation of relation forks. The length that a
// visibility map is truncated to depends on the block size, which WAL does not
// tell: 0 is never too much. Free space maps are not logged at all.
func (c *collector) smgr(op uint8, main []byte) (known bool, err error) {
	switch op {
	case smgrCreate:
		if len(main) < relLocatorSize+4 {
			return true, errShortData
		}
		fork := binary.LittleEndian.Uint32(main[relLocatorSize:])
		if fork > uint32(pg.InitFork) {
			return true, fmt.Errorf("fork %d", fork)
		}
		c.pages.AddLimit(pg.RelFork{RelFileLocator: relLocator(main), Fork: pg.ForkNumber(fork)}, 0)
		return true, nil
	case smgrTruncate:
		if len(main) < 4+relLocatorSize+4 {
			return true, errShortData
		}
		flags := binary.LittleEndian.Uint32(main[4+relLocatorSize:])
		rel := relLocator(main[4:])
		if flags&smgrTruncateHeap != 0 {
			nblocks := pg.BlockNumber(binary.LittleEndian.Uint32(main))
			c.pages.AddLimit(pg.RelFork{RelFileLocator: rel}, nblocks)
		}
		if flags&smgrTruncateVM != 0 {
			c.pages.AddLimit(pg.RelFork{RelFileLocator: rel, Fork: pg.VMFork}, 0)
		}
		return true, nil
	}
	return false, nil
}

// dbase takes databases that were created, copied, moved or dropped as directories
// (commands/dbcommands_xlog.h). Moving one is a creation and a drop.
func (c *collector) dbase(op uint8, main []byte) (known bool, err error) {
	switch op {
	case c.version.dbaseCreate, c.version.dbaseCreateWALLog:
		if len(main) < 8 {
			return true, errShortData
		}
		db, spc := binary.LittleEndian.Uint32(main), binary.LittleEndian.Uint32(main[4:])
		c.pages.AddDatabase(pg.OID(spc), pg.OID(db))
		return true, nil
	case c.version.dbaseDrop:
		if len(main) < 8 {
			return true, errShortData
		}
		db := binary.LittleEndian.Uint32(main)
		spcs, _, err := array(main[4:], 4)
		if err != nil {
			return true, err
		}
		for ; len(spcs) > 0; spcs = spcs[4:] {
			c.pages.AddDatabase(pg.OID(binary.LittleEndian.Uint32(spcs)), pg.OID(db))
		}
		return true, nil
	}
	return false, nil
}
