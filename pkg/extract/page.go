package extract

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Checksum states of a page.
const (
	ChecksumOff   = "off"   // the cluster had none
	ChecksumNone  = "none"  // a page that was never initialised has none
	ChecksumOK    = "ok"    // the stored one is right
	ChecksumWrong = "wrong" // the stored one is not that of the content
)

// Page is one page of a backup, and where it comes from.
type Page struct {
	Path   string         // of the segment file
	Fork   pg.RelFork     // which it is of
	Block  pg.BlockNumber // within the fork
	Backup string         // which stores it
	Pack   uint32         // 0: a page of zeros, which is stored nowhere
	Offset int64          // of its frame in the pack
	Hash   uint64         // repo.PageHash, compared with the stored one
	Data   pg.Page

	Checksum string // one of the states
	Computed uint16 // checksum of the content; 0 when there is none
}

// ErrNoBlock: the fork has no such block in this backup, or there is no such file.
var ErrNoBlock = errors.New("not in the backup")

// ReadPage finds one block of a fork of the newest backup. ErrNoBlock: there is none.
func ReadPage(ctx context.Context, ch *repo.Chain, fork pg.RelFork, block pg.BlockNumber) (*Page, error) {
	m := ch.Backups[0].Manifest
	g := m.Geometry
	segment := pg.RelSegment{RelFork: fork, Segno: uint32(block / pg.BlockNumber(g.RelSegBlocks))}
	path := segment.Path(pg.TablespaceVersionDir(m.PGVersion/10000, m.CatalogVersion))
	cf, err := find(ctx, ch, path)
	if err != nil {
		return nil, err
	}
	in := block % pg.BlockNumber(g.RelSegBlocks)
	newest := cf.Versions[0]
	if newest.Kind != repo.KindRelation || in >= newest.Blocks(g) {
		return nil, fmt.Errorf("%s block %d: %w %s: the file has %d blocks", path, block, ErrNoBlock, m.ID, newest.Blocks(g))
	}
	p := &Page{Path: path, Fork: fork, Block: block}
	if err := p.read(ctx, ch, cf, in); err != nil {
		return nil, fmt.Errorf("%s block %d: %w", path, block, err)
	}
	p.judge(m, block)
	return p, nil
}

// read finds the piece that supplies block in of the file and reads its frame.
func (p *Page) read(ctx context.Context, ch *repo.Chain, cf *repo.ChainFile, in pg.BlockNumber) error {
	g := ch.Backups[0].Manifest.Geometry
	pieces, _, err := cf.Resolve(g)
	if err != nil {
		return err
	}
	for i := range pieces {
		piece := &pieces[i]
		if !contains(piece.Runs, in) {
			continue
		}
		from := ch.Backups[piece.Depth]
		p.Backup, p.Pack, p.Offset = from.Manifest.ID, piece.Frame.Pack, piece.Frame.Offset
		one := *piece
		one.Runs = []repo.BlockRun{{First: in, Count: 1}}
		return p.take(ctx, ch, &one)
	}
	for i, v := range cf.Versions { // the newest that says so
		if contains(v.Zero, in) {
			p.Backup = ch.Backups[cf.Depth[i]].Manifest.ID
			p.Data = make(pg.Page, g.BlockSize)
			p.Hash = repo.PageHash(p.Data)
			return nil
		}
	}
	return fmt.Errorf("%w: nothing supplies it", repo.ErrCorrupt)
}

// take reads the page from the piece, which supplies only that.
func (p *Page) take(ctx context.Context, ch *repo.Chain, one *repo.Piece) error {
	from := ch.Backups[one.Depth]
	hashes, err := from.PageHashes(ctx, one.Frame, nil)
	if err != nil {
		return err
	}
	raw, err := ch.ReadPiece(ctx, one, nil)
	if err != nil {
		return err
	}
	for s, err := range one.Stretches() {
		if err != nil {
			return err
		}
		p.Hash = hashes[s.Page]
	}
	for _, page := range one.Pages(raw, from.Manifest.Geometry) {
		p.Data = page
	}
	if p.Data == nil || repo.PageHash(p.Data) != p.Hash {
		return fmt.Errorf("backup %s: %w: it does not match its page hash", p.Backup, repo.ErrCorrupt)
	}
	return nil
}

// judge compares the page's checksum with its content. Forks but the main one have checksums as well.
func (p *Page) judge(m *repo.Manifest, block pg.BlockNumber) {
	switch {
	case m.ChecksumVersion == 0:
		p.Checksum = ChecksumOff
	case p.Data.IsNew():
		p.Checksum = ChecksumNone
	default:
		p.Computed = p.Data.Checksum(block)
		p.Checksum = ChecksumOK
		if p.Computed != p.Data.StoredChecksum() {
			p.Checksum = ChecksumWrong
		}
	}
}

// contains says whether a block is in one of the runs.
func contains(runs []repo.BlockRun, b pg.BlockNumber) bool {
	for _, r := range runs {
		if b >= r.First && b-r.First < r.Count {
			return true
		}
	}
	return false
}

// find reads the chain's indexes up to a file.
func find(ctx context.Context, ch *repo.Chain, path string) (*repo.ChainFile, error) {
	for cf, err := range ch.Files(ctx) {
		if err != nil {
			return nil, err
		}
		switch d := pg.ComparePaths(cf.Path, path); {
		case d == 0:
			return cf, nil
		case d > 0:
			return nil, noFile(ch, path)
		}
	}
	return nil, noFile(ch, path)
}

func noFile(ch *repo.Chain, path string) error {
	return fmt.Errorf("%s: %w %s", path, ErrNoBlock, ch.Backups[0].Manifest.ID)
}
