package compact

import (
	"cmp"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// batch is pages of one file that make a frame.
type batch struct {
	blockSize int
	pages     []waiting
	raw       []byte // of the pages, in the order in which they came
	sorted    []byte
	hashes    []uint64
}

// waiting is a page in a batch.
type waiting struct {
	block pg.BlockNumber
	at    int // in raw
	hash  uint64
}

// begin empties the batch for another file.
func (b *batch) begin(blockSize int) {
	b.blockSize = blockSize
	b.pages, b.raw = b.pages[:0], b.raw[:0]
}

// add takes a page in, copying it.
func (b *batch) add(block pg.BlockNumber, page pg.Page, hash uint64) {
	b.pages = append(b.pages, waiting{block, len(b.raw), hash})
	b.raw = append(b.raw, page...)
}

// full says whether there is no room for another page.
func (b *batch) full() bool { return len(b.raw)+b.blockSize > repo.MaxFrame }

// take empties the batch and gives its content by block number, valid until it is used again. The runs are new.
func (b *batch) take() (raw []byte, hashes []uint64, runs []repo.BlockRun) {
	slices.SortFunc(b.pages, func(x, y waiting) int { return cmp.Compare(x.block, y.block) })
	b.sorted, b.hashes = b.sorted[:0], b.hashes[:0]
	for _, p := range b.pages {
		b.sorted = append(b.sorted, b.raw[p.at:p.at+b.blockSize]...)
		b.hashes = append(b.hashes, p.hash)
		runs = appendRun(runs, repo.BlockRun{First: p.block, Count: 1})
	}
	b.pages, b.raw = b.pages[:0], b.raw[:0]
	return b.sorted, b.hashes, runs
}
