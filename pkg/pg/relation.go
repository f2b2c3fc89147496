package pg

import "fmt"

type (
	// OID identifies a tablespace, database or other object.
	OID uint32
	// RelFileNumber is what pg_class.relfilenode holds for an unmapped relation.
	RelFileNumber uint32
	// BlockNumber counts blocks of a relation fork from 0, across its segment
	// files (storage/block.h).
	BlockNumber uint32
	// ForkNumber is one of the forks of a relation (common/relpath.h).
	ForkNumber uint8
)

// The forks, with the numbers that WAL uses.
const (
	MainFork ForkNumber = iota
	FSMFork
	VMFork
	InitFork
)

// Tablespaces that are not links in pg_tblspc (catalog/pg_tablespace.dat).
const (
	DefaultTablespace OID = 1663
	GlobalTablespace  OID = 1664
)

// MaxBlock is the largest block number a fork can have (MaxBlockNumber), and
// InvalidBlock the number that no block has (InvalidBlockNumber).
const (
	MaxBlock     BlockNumber = 0xFFFFFFFE
	InvalidBlock BlockNumber = 0xFFFFFFFF
)

// String gives the name that the fork has in file names.
func (f ForkNumber) String() string {
	switch f {
	case MainFork:
		return "main"
	case FSMFork:
		return "fsm"
	case VMFork:
		return "vm"
	case InitFork:
		return "init"
	}
	return fmt.Sprintf("fork%d", uint8(f))
}

// RelFileLocator is the physical address of a relation (storage/relfilelocator.h).
type RelFileLocator struct {
	Spc, DB OID
	Rel     RelFileNumber
}

// RelFork is one fork of one relation.
type RelFork struct {
	RelFileLocator
	Fork ForkNumber
}

// Compare orders by tablespace, database, relation, fork.
func (r RelFork) Compare(o RelFork) int {
	for _, p := range [4][2]uint32{
		{uint32(r.Spc), uint32(o.Spc)},
		{uint32(r.DB), uint32(o.DB)},
		{uint32(r.Rel), uint32(o.Rel)},
		{uint32(r.Fork), uint32(o.Fork)},
	} {
		if p[0] != p[1] {
			if p[0] < p[1] {
				return -1
			}
			return 1
		}
	}
	return 0
}

// String prints tablespace/database/relation and, unless main, the fork.
func (r RelFork) String() string {
	s := fmt.Sprintf("%d/%d/%d", r.Spc, r.DB, r.Rel)
	if r.Fork != MainFork {
		s += "_" + r.Fork.String()
	}
	return s
}

// RelSegment is one segment file of a fork: blocks [Segno*RelSegBlocks, …).
type RelSegment struct {
	RelFork
	Segno uint32
}

// FirstBlock gives the number within the fork of the segment's first block;
// InvalidBlock when no fork can be so long that it has this segment.
func (s RelSegment) FirstBlock(g Geometry) BlockNumber {
	first := uint64(s.Segno) * uint64(g.RelSegBlocks)
	return BlockNumber(min(first, uint64(InvalidBlock)))
}

// Path gives the path of the segment file relative to the data directory, the
// inverse of ParseRelPath. versionDir is TablespaceVersionDir of the server.
func (s RelSegment) Path(versionDir string) string {
	var p string
	switch s.Spc {
	case GlobalTablespace:
		p = "global"
	case DefaultTablespace:
		p = fmt.Sprintf("base/%d", s.DB)
	default:
		p = fmt.Sprintf("pg_tblspc/%d/%s/%d", s.Spc, versionDir, s.DB)
	}
	p += fmt.Sprintf("/%d", s.Rel)
	if s.Fork != MainFork {
		p += "_" + s.Fork.String()
	}
	if s.Segno > 0 {
		p += fmt.Sprintf(".%d", s.Segno)
	}
	return p
}
