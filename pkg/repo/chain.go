package repo

import (
	"context"
	"iter"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Chain reads a full backup and the incrementals on it as one.
type Chain struct {
	// Backups are newest first; the last one is full.
	Backups []*BackupReader
}

// OpenChain opens every backup of the chain that ends in m.
func (c *Cluster) OpenChain(ctx context.Context, m *Manifest) (*Chain, error) { panic("stub") }

// Close closes all of them.
func (ch *Chain) Close() error { panic("stub") }

// ChainFile is one file of the newest backup with the older versions that it still needs.
type ChainFile struct {
	Path string
	// Versions are newest first; Versions[i] belongs to Chain.Backups[Depth[i]]. The last one
	// supplies all that is left.
	Versions []*File
	Depth    []int
}

// Files yields every file of the newest backup, joined with its older versions by one merge over all
// indexes. Files that only older backups have do not appear. A version that is needed and not there is ErrCorrupt.
func (ch *Chain) Files(ctx context.Context) iter.Seq2[*ChainFile, error] { panic("stub") }

// Piece is what one frame supplies to a file.
type Piece struct {
	Depth int // into Chain.Backups
	Frame Frame
	// Runs are the blocks of the frame that are the newest of the chain, a subset of Frame.Runs. For a KindFile it is empty
	// and Offset is where the frame's bytes go.
	Runs   []BlockRun
	Offset int64
}

// Resolve decides for every block which frame supplies it: each block of the file is in exactly
// one Piece or in zero. Pieces that supply nothing do not appear. Pure.
func (cf *ChainFile) Resolve(g pg.Geometry) (pieces []Piece, zero []BlockRun, err error) {
	panic("stub")
}
