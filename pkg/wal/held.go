package wal

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Held is the newest segments of a pg_wal, held open. What Hold has opened before a backup's start can still
// be compared with archived segments when the server has removed it since. A nil Held holds nothing.
type Held struct {
	geometry pg.Geometry
	files    map[string]*os.File
}

// Hold opens the newest segment of timeline tli in dir, and the file that will be the next if it is there already:
// the server may be writing to it and may not have flushed its first page. from is a position that WAL
// in dir goes back to, such as the last checkpoint's redo. That nothing is there is no error.
func Hold(dir string, g pg.Geometry, tli pg.TimelineID, from pg.LSN) (h *Held, err error) {
	h = &Held{geometry: g, files: map[string]*os.File{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	for n := g.SegmentOf(from); ; n++ {
		name := g.WALFileName(tli, n)
		f, err := os.Open(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return h, nil
		}
		if err != nil {
			return h, err
		}
		h.files[name] = f
		if !h.has(name, n) {
			return h, nil // a recycled one, to be written next
		}
		for other, old := range h.files {
			if other != name {
				delete(h.files, other)
				if err := old.Close(); err != nil {
					return h, err
				}
			}
		}
	}
}

// Close lets go of the files.
func (h *Held) Close() (err error) {
	if h == nil {
		return nil
	}
	for _, f := range h.files {
		err = errors.Join(err, f.Close())
	}
	h.files = nil
	return err
}

// has says whether segment n is held and still what it was. A file that the server recycled is written anew from its
// begin on, so its first page tells.
func (h *Held) has(name string, n pg.SegNo) bool {
	if h == nil || h.files[name] == nil {
		return false
	}
	var header [16]byte
	_, err := h.files[name].ReadAt(header[:], 0)
	return err == nil && pg.LSN(binary.LittleEndian.Uint64(header[8:])) == h.geometry.SegmentStart(n)
}

// open reads a segment that has says is there.
func (h *Held) open(name string) io.ReadCloser {
	return io.NopCloser(io.NewSectionReader(h.files[name], 0, int64(h.geometry.WALSegmentSize)))
}
