package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	segmentBytes = 1 << 30
	bigSegments  = 100
	smallFiles   = 1_000_000
	perDirectory = 10_000
)

// measureSparse makes files that are nothing but holes, scans and removes them.
func measureSparse(out io.Writer, dir string, jobs int) (err error) {
	dir, err = os.MkdirTemp(dir, "sparse-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	var big []string
	for i := range bigSegments {
		name := filepath.Join(dir, "16384")
		if i > 0 {
			name += "." + strconv.Itoa(i)
		}
		if err := makeHole(name, segmentBytes); err != nil {
			return err
		}
		big = append(big, name)
	}
	if err := timeSparse(out, "a relation of 100 GB", self("scan:"+strconv.Itoa(jobs), big)); err != nil {
		return err
	}
	var subs []string
	for i := range smallFiles {
		sub := filepath.Join(dir, strconv.Itoa(i/perDirectory))
		if i%perDirectory == 0 {
			if err := os.Mkdir(sub, 0o755); err != nil {
				return err
			}
			subs = append(subs, sub)
		}
		if err := makeHole(filepath.Join(sub, strconv.Itoa(100000+i)), blockSize); err != nil {
			return err
		}
	}
	return timeSparse(out, "1,000,000 files of 8 kB", self("scan:"+strconv.Itoa(jobs), subs))
}

func timeSparse(out io.Writer, what string, c contender) error {
	for range 3 {
		r, err := time1(c)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s, sparse: %s, %s of CPU, %.1f MB resident\n", what,
			r.wall.Round(time.Millisecond), r.cpu.Round(time.Millisecond), float64(r.rss)/1e6)
		if err != nil {
			return err
		}
	}
	return nil
}

func makeHole(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}
