package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Files yields every file of the newest backup, joined with its older versions by one merge
// over all indexes. Files that only older backups have do not appear. A version that is
// needed and not there is ErrCorrupt. Memory in use is one index block and one entry for
// each backup.
func (ch *Chain) Files(ctx context.Context) iter.Seq2[*ChainFile, error] {
	return func(yield func(*ChainFile, error) bool) {
		m := merge{ch: ch, ctx: ctx}
		stopped := false
		err := m.run(func(cf *ChainFile) bool {
			stopped = !yield(cf, nil)
			return !stopped
		})
		if err = errors.Join(err, m.close()); err != nil && !stopped {
			yield(nil, err)
		}
	}
}

// merge is one pass over the indexes of a chain. It lives no longer than the call that ctx
// came with.
type merge struct {
	ch      *Chain
	ctx     context.Context //nolint:containedctx // see above
	cursors []cursor
}

// cursor is a place in one index.
type cursor struct {
	ix   *indexReader // nil: not opened yet
	file *File        // the entry at this place; nil: at the end, or before the first
	end  bool
}

// run calls each for every file of the newest backup until it gives false.
func (m *merge) run(each func(*ChainFile) bool) error {
	m.cursors = make([]cursor, len(m.ch.Backups))
	for {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		f, err := m.advance(0)
		if err != nil || f == nil {
			return err
		}
		cf, err := m.join(f)
		if err != nil {
			return err
		}
		if !each(cf) {
			return nil
		}
	}
}

// join collects the versions of a file down to the first that needs no older one.
func (m *merge) join(f *File) (*ChainFile, error) {
	cf := &ChainFile{Path: f.Path, Versions: []*File{f}, Depth: []int{0}}
	for depth := 1; f.needsParent(); depth++ {
		if depth == len(m.cursors) {
			return nil, fmt.Errorf("%s%s: %w: %s is not whole in the full backup",
				m.ch.Backups[depth-1].prefix, indexObject, ErrCorrupt, f.Path)
		}
		var err error
		if f, err = m.seek(depth, cf.Path); err != nil {
			return nil, err
		}
		if f == nil {
			return nil, fmt.Errorf("%s%s: %w: %s is missing and %s needs it",
				m.ch.Backups[depth].prefix, indexObject, ErrCorrupt, cf.Path, m.ch.Backups[depth-1].Manifest.ID)
		}
		cf.Versions = append(cf.Versions, f)
		cf.Depth = append(cf.Depth, depth)
	}
	return cf, nil
}

// needsParent says whether some content comes from the parent's version. Directories and
// links have none.
func (f *File) needsParent() bool {
	return !f.Whole && (f.Kind == KindFile || f.Kind == KindRelation && f.Size > 0)
}

// advance gives the next entry of one index, nil at the end.
func (m *merge) advance(depth int) (*File, error) {
	c := &m.cursors[depth]
	if c.end {
		return nil, nil
	}
	var err error
	if c.ix == nil {
		if c.ix, err = m.ch.Backups[depth].openIndex(m.ctx); err != nil {
			return nil, err
		}
	}
	c.file, err = c.ix.next()
	if errors.Is(err, io.EOF) {
		c.end, err = true, nil
	}
	return c.file, err
}

// seek moves one index on to path and gives its entry, nil if there is none.
func (m *merge) seek(depth int, path string) (*File, error) {
	c := &m.cursors[depth]
	for !c.end {
		if c.file != nil {
			if d := pg.ComparePaths(c.file.Path, path); d == 0 {
				return c.file, nil
			} else if d > 0 {
				return nil, nil
			}
		}
		if _, err := m.advance(depth); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// close closes the indexes.
func (m *merge) close() error {
	var err error
	for _, c := range m.cursors {
		if c.ix != nil {
			err = errors.Join(err, c.ix.close())
		}
	}
	return err
}
