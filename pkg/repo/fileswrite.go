package repo

import (
	"context"
	"errors"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
)

// filesWriter writes the list of a pack's files: entries as in an index, in the same order, since a worker
// comes to the files in that order. What does not fit in is left out: it is then not taken over. Not
// safe for concurrent use.
//
// The object is begun when there is a block of entries: most packs have less when they end.
type filesWriter struct {
	ix     *indexWriter
	pack   uint32
	g      pg.Geometry
	file   *File  // the relation to which frames are still added; nil: none
	behind uint64 // its last block
	last   string // path of the last entry
}

// newFilesWriter makes that of the worker's current pack, whose compressor it shares.
func (p *PackWriter) newFilesWriter(ctx context.Context) *filesWriter {
	b, pack := p.b, p.number
	ix := &indexWriter{g: b.c.Info.Geometry, z: p.z, sum: xxhash.New()}
	ix.begin = func() (*frameWriter, error) { return b.newObject(ctx, filesObject(pack), kindFiles, pack) }
	return &filesWriter{ix: ix, pack: pack, g: b.c.Info.Geometry}
}

// add lists frames of the pack.
func (w *filesWriter) add(f *File) error {
	if f.Kind != KindRelation {
		return w.addPlain(f)
	}
	for i := range f.Frames {
		if err := w.addFrame(f.Path, &f.Frames[i]); err != nil {
			return err
		}
	}
	return nil
}

// addPlain lists a plain file that lies in the pack as a whole.
func (w *filesWriter) addPlain(f *File) error {
	if err := w.flush(); err != nil {
		return err
	}
	for i := range f.Frames {
		if f.Frames[i].Pack != w.pack {
			return nil
		}
	}
	return w.put(&File{
		Path: f.Path, Kind: KindFile, Size: f.Size, Sum: f.Sum, Whole: true, Frames: f.Frames,
		ModTime: time.Unix(0, 0).UTC(),
	})
}

// addFrame lists a frame of a relation. Those of one relation are one entry.
func (w *filesWriter) addFrame(path string, fr *Frame) error {
	if fr.Pack != w.pack || len(fr.Runs) == 0 {
		return nil
	}
	if w.file != nil && w.file.Path != path {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if w.file == nil {
		w.file, w.behind = &File{Path: path, Kind: KindRelation, ModTime: time.Unix(0, 0).UTC()}, 0
	}
	if uint64(fr.Runs[0].First) < w.behind {
		return nil // a part that is copied again
	}
	w.behind = fr.Runs[len(fr.Runs)-1].end()
	w.file.Frames = append(w.file.Frames, *fr)
	w.file.Size = int64(w.behind) * int64(w.g.BlockSize)
	return nil
}

// flush ends the entry of a relation.
func (w *filesWriter) flush() error {
	f := w.file
	w.file = nil
	if f == nil {
		return nil
	}
	return w.put(f)
}

func (w *filesWriter) put(f *File) error {
	if w.last != "" && pg.ComparePaths(w.last, f.Path) >= 0 {
		return nil
	}
	w.last = f.Path
	return w.ix.append(f)
}

// commit publishes the list; false: there is nothing to list.
func (w *filesWriter) commit(ctx context.Context) (bool, error) {
	err := w.flush()
	if err == nil {
		err = w.ix.flush()
	}
	if err != nil {
		return false, errors.Join(err, w.abort())
	}
	if w.last == "" {
		return false, nil
	}
	_, err = w.ix.commit(ctx)
	return err == nil, err
}

// abort drops it.
func (w *filesWriter) abort() error {
	if w.ix.fw == nil {
		return nil
	}
	return w.ix.fw.abort()
}
