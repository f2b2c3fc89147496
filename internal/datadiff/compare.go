package datadiff

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Comparison names two data directories.
type Comparison struct {
	Source, Restored string
	Control          pg.Control // of the source
	Start            pg.LSN     // of the backup
}

// Report is what a comparison found.
type Report struct {
	Files       int          // compared, directories included
	Blocks      int          // of relations, compared
	Hints       int          // blocks that differ in hints only
	Newer       int          // blocks that changed after the backup's start and differ
	Differences []Difference // at most maxDifferences
}

// maxDifferences bounds what is listed: the first ones tell.
const maxDifferences = 20

// Difference is one place where the directories differ and must not.
type Difference struct {
	Path  string
	Block int64 // of a relation's file; -1: the whole file
	What  string
}

// String is one line.
func (d Difference) String() string {
	if d.Block < 0 {
		return d.Path + ": " + d.What
	}
	return fmt.Sprintf("%s: block %d: %s", d.Path, d.Block, d.What)
}

// Compare compares the two directories. The source must not be written to meanwhile, except
// for what WAL brings back. An error means that they could not be compared.
func (c Comparison) Compare() (Report, error) {
	source, err := list(c.Source, c.Control)
	if err != nil {
		return Report{}, err
	}
	restored, err := list(c.Restored, c.Control)
	if err != nil {
		return Report{}, err
	}
	r := &Report{}
	for _, path := range paths(source, restored) {
		s, inSource := source[path]
		d, inRestored := restored[path]
		r.Files++
		switch {
		case !inRestored:
			r.add(path, -1, "not restored")
		case !inSource:
			r.add(path, -1, "restored, but not in the source")
		case s.dir != d.dir:
			r.add(path, -1, "a file in one, a directory in the other")
		case s.dir:
		default:
			if err := c.file(r, path, s.place, d.place); err != nil {
				return *r, err
			}
		}
	}
	return *r, nil
}

func (r *Report) add(path string, block int64, what string) {
	if len(r.Differences) < maxDifferences {
		r.Differences = append(r.Differences, Difference{Path: path, Block: block, What: what})
	}
}

// file compares the content of one file.
func (c Comparison) file(r *Report, path, source, restored string) error {
	want, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	got, err := os.ReadFile(restored)
	if err != nil {
		return err
	}
	size := int(c.Control.Geometry.BlockSize)
	rel, isRel := pg.ParseRelPath(path)
	if !isRel || len(want)%size != 0 {
		if !bytes.Equal(want, got) {
			r.add(path, -1, fmt.Sprintf("%d bytes, want %d, or the content differs", len(got), len(want)))
		}
		return nil
	}
	if len(want) != len(got) {
		r.add(path, -1, fmt.Sprintf("%d blocks, want %d", len(got)/size, len(want)/size))
	}
	first := rel.FirstBlock(c.Control.Geometry)
	for at := 0; at+size <= min(len(want), len(got)); at += size {
		r.Blocks++
		if bytes.Equal(want[at:at+size], got[at:at+size]) {
			continue
		}
		block := pg.BlockNumber(at / size)
		c.page(r, path, rel, block, first+block, pg.Page(want[at:at+size]), pg.Page(got[at:at+size]))
	}
	return nil
}

// page judges two pages that are not the same.
func (c Comparison) page(r *Report, path string, rel pg.RelSegment, block, inFork pg.BlockNumber,
	want, got pg.Page,
) {
	if rel.Fork == pg.MainFork && want.LSN() > c.Start {
		r.Newer++
		return
	}
	if rel.Fork != pg.MainFork {
		// Copied as they are: there is nothing that they may lose.
		r.add(path, int64(block), "differs")
		return
	}
	if what := PageDifference(want, got); what != "" {
		r.add(path, int64(block), what)
		return
	}
	if c.Control.ChecksumVersion != 0 && !got.IsNew() && got.StoredChecksum() != got.Checksum(inFork) {
		r.add(path, int64(block), "its checksum is wrong")
		return
	}
	r.Hints++
}

// paths gives the names of two listings, each once, in order.
func paths(a, b map[string]entry) []string {
	var out []string
	for path := range a {
		out = append(out, path)
	}
	for path := range b {
		if _, ok := a[path]; !ok {
			out = append(out, path)
		}
	}
	slices.SortFunc(out, pg.ComparePaths)
	return out
}

// entry is a file or directory of a data directory.
type entry struct {
	dir   bool
	place string // on disk
}
