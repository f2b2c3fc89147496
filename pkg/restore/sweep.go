package restore

import (
	"errors"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
)

// sweep walks along the names that a directory had before an in-place restore, in the
// order of the index, and removes those that the index passes over. Memory: the
// names of one directory and of those above it.
type sweep struct {
	d     *dir
	names []string // not yet passed, in the order of the index
	keep  func(d *dir, name string) bool
}

// newSweep lists a directory. Names that keep accepts stay whatever the index says.
func newSweep(d *dir, keep func(*dir, string) bool) (*sweep, error) {
	names, err := readNames(d)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, pg.ComparePaths)
	return &sweep{d: d, names: names, keep: keep}, nil
}

// pass says that the index has a name: what comes before it in the directory goes,
// itself stays. It gives the number of names removed.
func (s *sweep) pass(name string) (removed int64, err error) {
	for len(s.names) > 0 {
		c := pg.ComparePaths(s.names[0], name)
		if c > 0 {
			return removed, nil
		}
		head := s.names[0]
		s.names = s.names[1:]
		if c == 0 {
			return removed, nil
		}
		if err := s.remove(head, &removed); err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// end removes what the index has not passed.
func (s *sweep) end() (removed int64, err error) {
	for _, name := range s.names {
		if err := s.remove(name, &removed); err != nil {
			return removed, err
		}
	}
	s.names = nil
	return removed, nil
}

func (s *sweep) remove(name string, removed *int64) error {
	if s.keep != nil && s.keep(s.d, name) {
		return nil
	}
	*removed++
	return s.d.root.RemoveAll(name)
}

// readNames lists a directory.
func readNames(d *dir) ([]string, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	return names, errors.Join(ignoreEOF(err), f.Close())
}
