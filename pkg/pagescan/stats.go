package pagescan

import "github.com/pgincr/pgincr/pkg/pg"

// Stats tell what a scan saw. Counts are of blocks.
type Stats struct {
	// End is the first block of the wanted range that was not looked at: the
	// end of the range, or that of the file when it is shorter.
	End pg.BlockNumber

	Looked uint64 // pages looked at
	Taken  uint64 // blocks added to the set, for one of these reasons:

	LSN     uint64 // changed since the parent's start
	New     uint64 // never initialised, or in a hole
	NoLSN   uint64 // the LSN is no position in WAL
	Flag    uint64 // PD_ALL_VISIBLE differs
	Hash    uint64 // the hash differs
	Unknown uint64 // the parent had no such block, or no hash of it

	// MaxLSN is the largest LSN of a page taken for its LSN, on block MaxBlock. When it is
	// beyond what the server has written by the end of the scan, the page is damaged
	// or the server's WAL was reset.
	MaxLSN   pg.LSN
	MaxBlock pg.BlockNumber

	Cold int64 // bytes that were not in the page cache where the scan had to read
}

// Add adds what another scan of a range of the same file saw.
func (s *Stats) Add(o Stats) {
	s.End = max(s.End, o.End)
	s.Looked += o.Looked
	s.Taken += o.Taken
	s.LSN += o.LSN
	s.New += o.New
	s.NoLSN += o.NoLSN
	s.Flag += o.Flag
	s.Hash += o.Hash
	s.Unknown += o.Unknown
	if o.MaxLSN > s.MaxLSN {
		s.MaxLSN, s.MaxBlock = o.MaxLSN, o.MaxBlock
	}
	s.Cold += o.Cold
}
