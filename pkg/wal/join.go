package wal

import (
	"fmt"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// join makes s the stretch of s and n, which must lie right behind it, and
// adds to pages what the record says that crosses the joint. Continuity is
// proved: the record that crosses has its checksum and its length, the first record
// of n names the last one of s as its predecessor. After an error s is of no use.
func (s *Stretch) join(n *Stretch, pages *pagemap.Map) error {
	if err := s.adjacent(n); err != nil {
		return err
	}
	switch {
	case s.headOpen():
		if err := s.extendHead(n); err != nil {
			return err
		}
	case s.TailStart != 0:
		if err := s.extendTail(n, pages); err != nil {
			return err
		}
	default:
		if n.HeadLen != 0 || n.Overwritten != 0 {
			return fmt.Errorf("%s continues a record that does not begin before", n.Start)
		}
		s.TailStart, s.Tail = n.TailStart, n.Tail
	}
	if n.First != 0 {
		if s.Last != 0 && n.FirstPrev != s.Last {
			return fmt.Errorf("record at %s: %w", n.First, brokenLink(n.FirstPrev, s.Last))
		}
		if s.First == 0 {
			s.First, s.FirstPrev = n.First, n.FirstPrev
		}
		s.Last = n.Last
	}
	s.End = n.End
	s.Begins = append(s.Begins, n.Begins...)
	s.Redos = append(s.Redos, n.Redos...)
	s.addFindings(n.Findings)
	return nil
}

// adjacent refuses what cannot lie behind s, and joins the timelines.
func (s *Stretch) adjacent(n *Stretch) error {
	last, first := s.Timelines[len(s.Timelines)-1], n.Timelines[0]
	switch {
	case n.Start != s.End:
		return fmt.Errorf("WAL from %s does not lie behind WAL up to %s", n.Start, s.End)
	case n.SystemIdentifier != s.SystemIdentifier:
		return fmt.Errorf("%s is WAL of system %d, before it of %d",
			n.Start, n.SystemIdentifier, s.SystemIdentifier)
	case n.Magic != s.Magic:
		return fmt.Errorf("%s has page magic %04X, before it %04X", n.Start, n.Magic, s.Magic)
	case n.SegmentSize != s.SegmentSize || n.BlockSize != s.BlockSize:
		return fmt.Errorf("%s is WAL in segments of %d bytes and pages of %d, before it %d and %d",
			n.Start, n.SegmentSize, n.BlockSize, s.SegmentSize, s.BlockSize)
	case first.Timeline < last.Timeline:
		return fmt.Errorf("%s is on timeline %d, before it on %d", n.Start, first.Timeline, last.Timeline)
	case first.Timeline == last.Timeline:
		s.Timelines = append(s.Timelines, n.Timelines[1:]...)
	default:
		s.Timelines = append(s.Timelines, n.Timelines...)
	}
	return nil
}

// extendHead joins when s lies within a record that began before it.
func (s *Stretch) extendHead(n *Stretch) error {
	if err := s.continued(n); err != nil {
		return err
	}
	if n.Overwritten != 0 {
		if n.Overwritten >= s.Start {
			return fmt.Errorf("%s overwrites a record at %s, which is not there", n.Start, n.Overwritten)
		}
		s.Overwritten, s.Head = n.Overwritten, nil
	} else {
		if len(s.Head)+len(n.Head) > cutFrom { // of a run; no range begins within a record
			return fmt.Errorf("record before %s: %w", s.Start, errTooLong)
		}
		s.Head = append(s.Head, n.Head...)
		s.HeadSwitch = n.HeadSwitch
	}
	s.TailStart, s.Tail = n.TailStart, n.Tail
	return nil
}

// extendTail joins when a record of s runs into n.
func (s *Stretch) extendTail(n *Stretch, pages *pagemap.Map) error {
	if err := s.continued(n); err != nil {
		return err
	}
	if n.Overwritten != 0 {
		if n.Overwritten != s.TailStart {
			return fmt.Errorf("%s overwrites a record at %s, not that at %s", n.Start, n.Overwritten, s.TailStart)
		}
		s.TailStart, s.Tail, s.cut = n.TailStart, n.Tail, nil
		return nil
	}
	s.addToTail(n.Head)
	var err error
	switch {
	case len(s.Tail) > maxHeld:
		err = errTooLong
	case !n.headOpen():
		err = s.crossing(s.Tail, s.TailStart, n.HeadSwitch, pages)
	}
	if err != nil {
		return fmt.Errorf("record at %s: %w", s.TailStart, err)
	}
	if !n.headOpen() {
		s.TailStart, s.Tail, s.cut = n.TailStart, n.Tail, nil
	}
	return nil
}

// continued says whether n goes on with the record that s ends in, or
// overwrites it.
func (s *Stretch) continued(n *Stretch) error {
	if n.HeadLen == 0 && n.Overwritten != 0 {
		return nil
	}
	if missing := s.missing(); uint64(n.HeadLen) != missing {
		return fmt.Errorf("%s continues a record by %d bytes that lacks %d", n.Start, n.HeadLen, missing)
	}
	return nil
}

// crossing takes the record r that begins at lsn in s and ends behind it.
func (s *Stretch) crossing(r record, lsn pg.LSN, empty bool, pages *pagemap.Map) error {
	v, err := versionOf(s.Magic)
	if err != nil {
		return err
	}
	if err := r.verify(v, s.cut); err != nil {
		return err
	}
	prev := r.prev()
	switch {
	case s.Last != 0 && prev != s.Last:
		return brokenLink(prev, s.Last)
	case prev >= lsn:
		return fmt.Errorf("its predecessor is at %s", prev)
	case r.isSwitch() != empty:
		return fmt.Errorf("it switches segments: %t; the rest of its segment is empty: %t", r.isSwitch(), empty)
	}
	c := collector{version: v, pages: pages}
	if err := c.record(r, s.cut, lsn); err != nil {
		return err
	}
	if s.First == 0 {
		s.First, s.FirstPrev = lsn, prev
	}
	s.Last = lsn
	s.Begins = append(s.Begins, c.begins...)
	s.Redos = append(s.Redos, c.redos...)
	s.addFindings(c.findings)
	return nil
}

func (s *Stretch) addFindings(list []Finding) {
	for _, f := range list {
		s.Findings = addFinding(s.Findings, f)
	}
}
