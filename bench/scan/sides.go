package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/internal/pagecache"
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pagescan"
	"github.com/pgincr/pgincr/pkg/pg"
)

const (
	blockSize = 8192
	partSize  = 64 << 20 // what one worker scans at a time, as in a backup
	waiting   = 64       // pieces that wait for a worker, as in a backup
)

var relation = regexp.MustCompile(`^[1-9][0-9]*(_(fsm|vm|init))?(\.[1-9][0-9]*)?$`)

// find lists the files, those of directories by the grammar of relation files.
func find(paths []string) (files []string, size int64, err error) {
	err = walk(paths, func(path string, n int64) {
		files = append(files, path)
		size += n
	})
	return files, size, err
}

// walk calls visit for each file, in directories for each that has the name of a relation file.
func walk(paths []string, visit func(path string, size int64)) error {
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || (path != root && !relation.MatchString(d.Name())) {
				return err
			}
			st, err := d.Info()
			if err == nil {
				visit(path, st.Size())
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// runSide looks at all pages of the files once.
func runSide(name string, files []string) error {
	kind, n, _ := strings.Cut(name, ":")
	jobs, _ := strconv.Atoi(n)
	taken, err := 0, error(nil)
	switch kind {
	case "read128k":
		taken, err = probe(files, 128<<10, 128<<10)
	case "pread24":
		taken, err = probe(files, 24, blockSize)
	case "scan", "hash":
		taken, err = scan(files, jobs, kind == "hash")
	default:
		return fmt.Errorf("no side %q", name)
	}
	if err == nil && taken < 0 {
		err = fmt.Errorf("%d pages", taken) // keeps the work from being left out
	}
	return err
}

// probe reads pieces of so many bytes at every step and looks at the page headers in them.
func probe(files []string, piece, step int64) (taken int, err error) {
	buf := make([]byte, piece)
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return 0, err
		}
		for off := int64(0); ; off += step {
			n, err := f.ReadAt(buf, off)
			for p := buf[:n]; len(p) >= 24; p = p[min(blockSize, len(p)):] {
				lsn := uint64(binary.LittleEndian.Uint32(p))<<32 | uint64(binary.LittleEndian.Uint32(p[4:]))
				if lsn > math.MaxUint64-1 || binary.LittleEndian.Uint16(p[14:]) == 0 {
					taken++
				}
			}
			if err != nil {
				break
			}
		}
		if err := f.Close(); err != nil {
			return 0, err
		}
	}
	return taken, nil
}

// piece is what one worker scans at a time.
type piece struct {
	path     string
	from, to pg.BlockNumber
	blocks   pg.BlockNumber // of the file
}

// scan scans the files as a backup does in which nothing changed: pieces of files by some
// workers. Directories are walked meanwhile.
func scan(paths []string, jobs int, hash bool) (int, error) {
	g, ctx := errgroup.WithContext(context.Background())
	rules := pagescan.Rules{BlockSize: blockSize, Since: math.MaxUint64, HashAll: hash}
	var taken atomic.Int64
	pieces := make(chan piece, waiting)
	for range jobs {
		g.Go(func() error {
			for p := range pieces {
				parent := pagescan.Parent{Blocks: p.blocks}
				if hash {
					parent.Hashes = make([]uint64, p.blocks)
				}
				st, err := scanPart(ctx, rules, p, parent)
				if err != nil {
					return err
				}
				taken.Add(int64(st.Taken))
			}
			return nil
		})
	}
	err := walk(paths, func(path string, size int64) {
		blocks := pg.BlockNumber(size / blockSize)
		for from := pg.BlockNumber(0); from < blocks; from += partSize / blockSize {
			select {
			case pieces <- piece{path, from, min(blocks, from+partSize/blockSize), blocks}:
			case <-ctx.Done():
			}
		}
	})
	close(pieces)
	err = errors.Join(err, g.Wait())
	return int(taken.Load()), err
}

func scanPart(ctx context.Context, rules pagescan.Rules, p piece, parent pagescan.Parent) (pagescan.Stats, error) {
	f, err := os.Open(p.path)
	if err != nil {
		return pagescan.Stats{}, err
	}
	var set pagemap.Set
	st, err := rules.Scan(ctx, f, p.from, p.to, parent, &set)
	return st, errors.Join(err, f.Close())
}

// evict makes the kernel drop the files from the page cache.
func evict(files []string) error {
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = f.Sync()
		if err == nil {
			err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		}
		if err := f.Close(); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resident tells how much of the files is in the page cache, as a fraction.
func resident(files []string) (float64, error) {
	var in, all int64
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return 0, err
		}
		st, err := f.Stat()
		if err != nil {
			return 0, err
		}
		all += st.Size()
		in += st.Size()
		for _, s := range pagecache.Missing(f, 0, st.Size(), nil) {
			in -= s.Len
		}
		if err := f.Close(); err != nil {
			return 0, err
		}
	}
	return float64(in) / float64(max(all, 1)), nil
}

// kernel names the system that was measured.
func kernel() string {
	var u syscall.Utsname
	if syscall.Uname(&u) != nil {
		return "unknown kernel"
	}
	var b strings.Builder
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return "Linux " + b.String()
}
