package main

import (
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"
)

// compare does what a restore in place cannot do without, and nothing else: it reads every file, hashes each
// page, which tells whether it is right, and sums the file for backup_manifest.
func compare(dir, workers string) error {
	n, err := strconv.Atoi(workers)
	if err != nil {
		return err
	}
	const part = 4 << 20 // of a file, for one worker
	type stretch struct {
		path string
		from int64
	}
	work := make(chan stretch)
	var g errgroup.Group
	for range n {
		g.Go(func() error {
			b := make([]byte, 256<<10)
			var failed error
			for s := range work { // to the end, so that nobody waits
				failed = errors.Join(failed, hashStretch(s.path, s.from, part, b))
			}
			return failed
		})
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		st, err := d.Info()
		for from := int64(0); err == nil && from < st.Size(); from += part {
			work <- stretch{path, from}
		}
		return err
	})
	close(work)
	return errors.Join(err, g.Wait())
}

func hashStretch(path string, from, size int64, b []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	r := io.NewSectionReader(f, from, size)
	sums := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	const page = 8192
	hashes := uint64(0)
	for {
		n, err := io.ReadFull(r, b)
		for at := 0; at < n; at += page {
			hashes ^= xxhash.Sum64(b[at:min(at+page, n)])
		}
		sums.Write(b[:n]) // never fails
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return f.Close()
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
}
