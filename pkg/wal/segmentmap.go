package wal

import "github.com/pgincr/pgincr/pkg/pagemap"

// SegmentMap is the page map of a WAL segment, or of a run of adjacent
// segments, with what joins it to its neighbours. It exists only for WAL that
// was read to the last byte; the pages that its head and tail reference are
// not in it before they are joined.
type SegmentMap struct {
	Stretch
	Pages *pagemap.Map
}

// Append joins the map of the WAL right behind m to m, or says what breaks the
// continuity; then m is of no further use. Appending is associative: any
// grouping of a row of maps gives the same, as long as no record is longer than cutFrom.
func (m *SegmentMap) Append(next *SegmentMap) error {
	if err := m.join(&next.Stretch, m.Pages); err != nil {
		return err
	}
	m.Pages.Merge(next.Pages)
	return nil
}
