package wal

import "fmt"

// version is what differs between the majors in how WAL is written.
type version struct {
	major int
	magic uint16 // XLOG_PAGE_MAGIC, access/xlog_internal.h

	// imageCompressed are the bits of bimg_info that say that a full-page
	// image is compressed; imageKnown are all that may be set. 15 renumbered
	// them (access/xlogrecord.h).
	imageCompressed, imageKnown uint8

	toplevelXID bool // block id 252 exists (14+)
	customRmgrs bool // resource managers from 128 exist (15+)

	// Opcodes of RM_DBASE_ID (commands/dbcommands_xlog.h); 15 renumbered
	// them. opNone: the opcode does not exist.
	dbaseCreate, dbaseCreateWALLog, dbaseDrop uint8

	checkpointWALLevel bool // CheckPoint.wal_level and XLOG_CHECKPOINT_REDO (17+)
}

// opNone is no opcode: those have their low four bits clear.
const opNone = 0x0F

// versions lists what can be read.
//
//nolint:gochecknoglobals // a table
var versions = [...]version{
	{
		major: 13, magic: 0xD106, imageCompressed: 0x02, imageKnown: 0x07,
		dbaseCreate: 0x00, dbaseCreateWALLog: opNone, dbaseDrop: 0x10,
	},
	{
		major: 14, magic: 0xD10D, imageCompressed: 0x02, imageKnown: 0x07,
		dbaseCreate: 0x00, dbaseCreateWALLog: opNone, dbaseDrop: 0x10, toplevelXID: true,
	},
	{
		major: 15, magic: 0xD110, imageCompressed: 0x1C, imageKnown: 0x1F,
		dbaseCreate: 0x00, dbaseCreateWALLog: 0x10, dbaseDrop: 0x20, toplevelXID: true, customRmgrs: true,
	},
	{
		major: 16, magic: 0xD113, imageCompressed: 0x1C, imageKnown: 0x1F,
		dbaseCreate: 0x00, dbaseCreateWALLog: 0x10, dbaseDrop: 0x20, toplevelXID: true, customRmgrs: true,
	},
	{
		major: 17, magic: 0xD116, imageCompressed: 0x1C, imageKnown: 0x1F,
		dbaseCreate: 0x00, dbaseCreateWALLog: 0x10, dbaseDrop: 0x20, toplevelXID: true, customRmgrs: true,
		checkpointWALLevel: true,
	},
	{
		major: 18, magic: 0xD118, imageCompressed: 0x1C, imageKnown: 0x1F,
		dbaseCreate: 0x00, dbaseCreateWALLog: 0x10, dbaseDrop: 0x20, toplevelXID: true, customRmgrs: true,
		checkpointWALLevel: true,
	},
}

// versionOf gives the version that writes pages with this magic.
func versionOf(magic uint16) (*version, error) {
	for i := range versions {
		if versions[i].magic == magic {
			return &versions[i], nil
		}
	}
	if magic == 0 {
		return nil, fmt.Errorf("page magic 0000: no WAL was written here")
	}
	return nil, fmt.Errorf("page magic %04X: not WAL of PostgreSQL 13 to 18; "+
		"a newer server needs a newer pgincr", magic)
}
