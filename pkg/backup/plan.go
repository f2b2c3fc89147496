package backup

import (
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// planner decides what becomes of each entry. It is pure: what it needs to know stands in its
// fields and arguments.
type planner struct {
	geometry pg.Geometry
	// source is asked about main forks, compare about the other ones, of which neither
	// WAL nor page LSNs tell all changes: free space maps are never logged, clearing a
	// bit in a visibility map is not a change of its page for either (visibilitymap.c),
	// and init forks are tiny. Both nil in a full backup.
	source, compare source
	// retake are the blocks, within the segment file, that were corrupt in the parent, by path.
	retake map[string][]pg.BlockNumber
}

// plan makes a target of a regular file. parent is the parent's file of the same path, nil
// when there is none.
func (p *planner) plan(e *entry, parent *repo.ChainFile) *target {
	t := &target{entry: e, kind: p.classify(e)}
	if t.kind == repo.KindRelation {
		t.blocks = pg.BlockNumber(e.size / int64(p.geometry.BlockSize))
	}
	t.end = t.blocks
	if parent == nil || parent.Versions[0].Kind != t.kind {
		return t
	}
	t.parent = parent
	if t.kind != repo.KindRelation {
		return t
	}
	t.parentBlocks = min(t.blocks, parent.Versions[0].Blocks(p.geometry))
	t.retake = p.retake[e.path]
	t.source = p.source
	if e.rel.Fork != pg.MainFork {
		t.source = p.compare
	}
	return t
}

// classify tells relation segment files, which are handled by blocks, from all others. A file that
// is no whole number of blocks, or longer than a segment can be, is only bytes:
// somebody is just extending it, or it is damaged; WAL or the operator has to say which.
func (p *planner) classify(e *entry) repo.FileKind {
	size, seg := int64(p.geometry.BlockSize), int64(p.geometry.RelSegBlocks)
	if !e.isRel || e.size%size != 0 || e.size > size*seg ||
		int64(e.rel.Segno)*seg+e.size/size > int64(pg.MaxBlock)+1 {
		return repo.KindFile
	}
	return repo.KindRelation
}

// work says how many blocks of a relation have to be looked at or copied. Zero: the
// file is the parent's, as far as the parent had it, and need not be opened. A source that
// lets nothing come from the parent takes it away.
func (p *planner) work(t *target) pg.BlockNumber {
	if t.parent == nil {
		return t.blocks
	}
	whole, work := t.source.judge(t)
	if whole {
		t.parent, t.source, t.retake, t.parentBlocks = nil, nil, nil, 0
		return t.blocks
	}
	for _, blk := range t.retake {
		if blk < t.parentBlocks {
			work++
		}
	}
	return work + t.blocks - t.parentBlocks
}

// firstBlock gives the number within the fork of a segment file's first block.
func (p *planner) firstBlock(s pg.RelSegment) pg.BlockNumber {
	return pg.BlockNumber(s.Segno) * pg.BlockNumber(p.geometry.RelSegBlocks)
}
