package restore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Plan is what a restore is going to do, as a dry run prints it.
type Plan struct {
	Files        int64               `json:"files"`
	Directories  int64               `json:"directories"`
	BytesToRead  int64               `json:"bytes_to_read"`  // stored bytes of the frames
	BytesToWrite int64               `json:"bytes_to_write"` // without holes
	BytesInHoles int64               `json:"bytes_in_holes"` // zero pages, which are not written
	Tablespaces  []pg.TablespaceLink `json:"tablespaces"`    // where they will be
	WALTimeline  pg.TimelineID       `json:"wal_timeline"`
	WALStart     pg.LSN              `json:"wal_start_lsn"`
	WALStop      pg.LSN              `json:"wal_stop_lsn"` // consistent from here on
	WALFiles     []string            `json:"wal_files"`    // needed to get there
	// WALReach is how far the archived WAL goes without a gap; absent where recovery does not use it.
	WALReach pg.LSN  `json:"wal_reach_lsn,omitzero"`
	Space    []Space `json:"space"`
}

// Space compares what one file system is asked for with what it has. What an in-place restore
// writes over is not asked for.
type Space struct {
	Dirs      []string `json:"directories"` // of this restore that lie on it
	NeedBytes int64    `json:"need_bytes"`
	HaveBytes int64    `json:"have_bytes"`
	NeedFiles int64    `json:"need_files"`
	HaveFiles int64    `json:"have_files"` // -1: without limit
}

// usage is what will be written to one place, and what of it an in-place restore finds there.
type usage struct{ bytes, files, haveBytes, haveFiles int64 }

// plan is a chain that has been looked through, and found to be restorable.
type plan struct {
	Plan
	backup *repo.Manifest
	chain  *repo.Chain
	layout *layout
	owner  owner
	usage  map[string]*usage // by the path of the place
	old    *existing         // in place only

	standIns *standIns // nil: all databases are restored
}

// newPlan reads all indexes once. It writes nothing.
func newPlan(ctx context.Context, chain *repo.Chain, o *Options, e *existing) (*plan, error) {
	p := &plan{chain: chain, backup: chain.Backups[0].Manifest, owner: defaultOwner()}
	p.usage, p.old = map[string]*usage{}, e
	if err := p.backup.Geometry.Verify(); err != nil {
		return nil, fmt.Errorf("backup %s: %w: %w", p.backup.ID, err, repo.ErrCorrupt)
	}
	var err error
	if p.standIns, err = newStandIns(p.backup, o.Databases); err != nil {
		return nil, err
	}
	var links []pg.TablespaceLink
	// Files are counted by the tablespace link above them; the layout needs all links first.
	byLink := map[string]*usage{}
	var guard pathGuard
	for cf, err := range p.standIns.files(ctx, chain) {
		if err != nil {
			return nil, err
		}
		f := cf.Versions[0]
		if err := guard.verify(f); err != nil {
			return nil, fmt.Errorf("backup %s: %w", p.backup.ID, err)
		}
		p.owner.learn(f)
		if f.Kind == repo.KindLink {
			oid, _ := linkOID(f.Path)
			links = append(links, pg.TablespaceLink{OID: oid, Path: f.Link})
		}
		if err := p.count(cf, byLink); err != nil {
			return nil, fmt.Errorf("backup %s: %s: %w", p.backup.ID, f.Path, err)
		}
	}
	if p.layout, err = newLayout(o, links, e); err != nil {
		return nil, err
	}
	for _, pl := range p.layout.places() {
		p.usage[pl.path] = new(usage)
	}
	for key, u := range byLink {
		at := p.usage[p.layout.placeOf(key+"/")]
		at.bytes += u.bytes
		at.files += u.files
		if e.stays(key, p.layout) {
			at.bytes -= u.haveBytes
			at.files -= u.haveFiles
		}
	}
	for _, link := range links {
		p.Tablespaces = append(p.Tablespaces, pg.TablespaceLink{OID: link.OID, Path: p.layout.spaces[link.OID]})
	}
	return p, nil
}

// count adds one file to the totals.
func (p *plan) count(cf *repo.ChainFile, byLink map[string]*usage) error {
	f := cf.Versions[0]
	if left(f) {
		return nil
	}
	if f.Kind == repo.KindDir || f.Kind == repo.KindLink {
		p.Directories++
		return nil
	}
	pieces, zero, err := resolve(cf, p.backup.Geometry)
	if err != nil {
		return err
	}
	holes := int64(0)
	for _, r := range zero {
		holes += int64(r.Count) * int64(p.backup.Geometry.BlockSize)
	}
	for i := range pieces {
		p.BytesToRead += int64(pieces[i].Frame.Stored)
	}
	p.Files++
	p.BytesToWrite += f.Size - holes
	p.BytesInHoles += holes
	key := linkAbove(f.Path)
	u := byLink[key]
	if u == nil {
		u = new(usage)
		byLink[key] = u
	}
	u.files++
	need := roundUp(f.Size-holes, fsBlock)
	u.bytes += need
	p.old.credit(u, f.Path, need)
	return nil
}

// fsBlock is what file systems allocate at least for a file that is not empty.
const fsBlock = 4096

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

// linkAbove gives the pg_tblspc/<oid> that a path lies below, or nothing.
func linkAbove(p string) string {
	if !within(p, tblspcDirName) {
		return ""
	}
	for i := len(tblspcDirName) + 1; i < len(p); i++ {
		if p[i] == '/' {
			return p[:i]
		}
	}
	return ""
}

// resolve gives the pieces of a file in the order of their places and proves
// that together with the zero runs they make the file: all of it, nothing twice,
// nothing outside.
func resolve(cf *repo.ChainFile, g pg.Geometry) (pieces []repo.Piece, zero []repo.BlockRun, err error) {
	if pieces, zero, err = cf.Resolve(g); err != nil {
		return nil, nil, err
	}
	f := cf.Versions[0]
	if f.Kind == repo.KindFile {
		slices.SortFunc(pieces, func(a, b repo.Piece) int { return cmp.Compare(a.Offset, b.Offset) })
		return pieces, nil, verifyBytes(f, pieces)
	}
	for i := range pieces {
		if len(pieces[i].Runs) == 0 {
			return nil, nil, fmt.Errorf("a frame without blocks: %w", repo.ErrCorrupt)
		}
	}
	slices.SortFunc(pieces, func(a, b repo.Piece) int { return cmp.Compare(a.Runs[0].First, b.Runs[0].First) })
	return pieces, zero, verifyBlocks(f, pieces, zero, g)
}

// verifyBytes proves that the frames of a plain file follow on each other.
func verifyBytes(f *repo.File, pieces []repo.Piece) error {
	at := int64(0)
	for _, p := range pieces {
		if p.Offset != at {
			return fmt.Errorf("frame at byte %d, expected at %d: %w", p.Offset, at, repo.ErrCorrupt)
		}
		at += int64(p.Frame.Raw)
	}
	if at != f.Size {
		return fmt.Errorf("frames of %d bytes for a file of %d: %w", at, f.Size, repo.ErrCorrupt)
	}
	return nil
}

// verifyBlocks proves that pieces and zero runs count as many blocks as the file
// has and lie in it. That no block is in two of them is Resolve's promise.
func verifyBlocks(f *repo.File, pieces []repo.Piece, zero []repo.BlockRun, g pg.Geometry) error {
	if f.Size%int64(g.BlockSize) != 0 {
		return fmt.Errorf("size %d is not a number of blocks: %w", f.Size, repo.ErrCorrupt)
	}
	blocks := f.Size / int64(g.BlockSize)
	covered := int64(0)
	add := func(runs []repo.BlockRun) error {
		for _, r := range runs {
			if int64(r.First)+int64(r.Count) > blocks {
				return fmt.Errorf("blocks %d+%d of a file of %d: %w", r.First, r.Count, blocks, repo.ErrCorrupt)
			}
			covered += int64(r.Count)
		}
		return nil
	}
	for _, p := range pieces {
		if err := add(p.Runs); err != nil {
			return err
		}
	}
	if err := add(zero); err != nil {
		return err
	}
	if covered != blocks {
		return fmt.Errorf("%d blocks supplied to a file of %d: %w", covered, blocks, repo.ErrCorrupt)
	}
	return nil
}
