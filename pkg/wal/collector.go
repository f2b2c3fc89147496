package wal

import (
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// collector gathers what records say about changed blocks. It does not care in
// which order they come.
type collector struct {
	version  *version
	pages    *pagemap.Map
	redos    []pg.LSN
	begins   []TimelineStart
	findings []Finding
	recent   *[recentRefs]blockRef // nil: none
	// watch sees the records of the resource managers that are looked into; nil: nobody does.
	watch func(r record, main []byte, lsn pg.LSN)
}

// recentRefs is how many references are remembered: WAL names the same few
// blocks again and again. A power of two; 24 bytes each.
const recentRefs = 2048

// record takes one verified record that begins at lsn. rest is not nil where it is cut.
func (c *collector) record(r record, rest *cut, lsn pg.LSN) error {
	total := uint64(len(r))
	if rest != nil {
		total = rest.len
	}
	main, err := c.references(r, int(total))
	if err != nil {
		return err
	}
	if r.isLookedInto() {
		if c.watch != nil {
			c.watch(r, main, lsn)
		}
		return c.special(r, main, lsn)
	}
	return nil
}

// add records a reference, if it was not recorded just before.
func (c *collector) add(ref blockRef) {
	if c.recent != nil {
		h := (ref.relBlk ^ ref.spcDB<<7 ^ uint64(ref.fork)<<60) * 0x9E3779B97F4A7C15
		slot := &c.recent[h>>(64-11)]
		if *slot == ref {
			return
		}
		*slot = ref
	}
	rf, blk := ref.split()
	c.pages.AddBlock(rf, blk)
}

// forget empties the memory of recent references, before another map is filled.
func (c *collector) forget() {
	if c.recent != nil {
		for i := range c.recent {
			c.recent[i].fork = noFork
		}
	}
}

// noFork marks a slot that remembers nothing.
const noFork = 0xFF

func (c *collector) find(lsn pg.LSN, reason string) {
	c.findings = addFinding(c.findings, Finding{First: lsn, Last: lsn, Reason: reason})
}
