package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
)

// PushResult tells what Push did.
type PushResult struct {
	Name      string
	Mapped    bool   // a page map was stored beside the segment
	MapReason string // why not, when not
}

// mapPatience bounds how long the server's archiver waits for a map to be
// stored once its segment is safe.
const mapPatience = 10 * time.Second

// Push archives the WAL file at path under its base name and then makes its
// page map. The commit point is the archived file; a map that cannot be made never fails a push.
//
// The file is read once: the scanner sees the very bytes that the archive
// takes. Memory is the scanner's, whatever the size of the segment.
func Push(ctx context.Context, a Archive, path string) (res PushResult, err error) {
	res.Name = filepath.Base(path)
	f, err := os.Open(path)
	if err != nil {
		return res, fmt.Errorf("WAL file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return PushFrom(ctx, a, res.Name, f)
}

// PushFrom is Push of what r holds, under a name.
func PushFrom(ctx context.Context, a Archive, name string, r io.Reader) (res PushResult, err error) {
	res.Name = name
	if !pg.IsWALFileName(name) {
		res.MapReason = "not a WAL segment"
		return res, put(ctx, a, name, r)
	}
	tee := &scanTee{r: r, scanner: newScanner()}
	tee.scanner.reset(0)
	if err := put(ctx, a, name, tee); err != nil {
		return res, err
	}
	mapCtx, cancel := context.WithTimeout(ctx, mapPatience)
	defer cancel()
	if err := tee.storeMap(mapCtx, a, name); err != nil {
		res.MapReason = err.Error()
		return res, nil
	}
	res.Mapped = true
	return res, nil
}

func put(ctx context.Context, a Archive, name string, r io.Reader) error {
	if err := a.Put(ctx, name, r); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// scanTee is a reader whose bytes the scanner sees as they are read.
type scanTee struct {
	r       io.Reader
	scanner *scanner
	atEnd   bool
}

func (t *scanTee) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if _, werr := t.scanner.Write(p[:n]); werr != nil {
		return n, werr
	}
	t.atEnd = t.atEnd || err == io.EOF
	return n, err
}

// storeMap makes the map of what was read and stores it under the segment's name.
func (t *scanTee) storeMap(ctx context.Context, a Archive, name string) error {
	if !t.atEnd {
		return errors.New("the archive did not read the segment to its end")
	}
	m, err := t.scanner.finish()
	if err != nil {
		return err
	}
	if err := m.checkName(name); err != nil {
		return err
	}
	data, err := m.AppendBinary(nil)
	if err != nil {
		return err
	}
	return a.PutMap(ctx, name, data)
}

// checkName verifies that a segment's content fits its file name: the position, and a
// timeline that is that of its last page or, when all pages are older, newer.
func (m *SegmentMap) checkName(name string) error {
	g := m.geometry()
	tli, n, err := g.ParseWALFileName(name)
	if err != nil {
		return err
	}
	if g.SegmentStart(n) != m.Start {
		return fmt.Errorf("holds WAL from %s, its name says %s", m.Start, g.SegmentStart(n))
	}
	if last := m.Timelines[len(m.Timelines)-1].Timeline; last > tli {
		return fmt.Errorf("holds WAL of timeline %d, its name says %d", last, tli)
	}
	return nil
}
