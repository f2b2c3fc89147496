package wal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pgincr/pgincr/pkg/pg"
)

// dirArchive is an Archive in a directory, for tests: WAL files as they are, maps in memory.
type dirArchive struct {
	dir string

	mu     sync.Mutex // guards what follows
	maps   map[string][]byte
	opened map[string]int // how often each file was read
	got    int            // maps read
}

func newDirArchive(dir string) *dirArchive {
	return &dirArchive{dir: dir, maps: map[string][]byte{}, opened: map[string]int{}}
}

func (a *dirArchive) Put(_ context.Context, name string, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	path := filepath.Join(a.dir, name)
	if old, err := os.ReadFile(path); err == nil {
		if !bytes.Equal(old, data) {
			return fmt.Errorf("%s: %w", name, fs.ErrExist)
		}
		return nil
	}
	return os.WriteFile(path, data, 0o600)
}

func (a *dirArchive) Has(_ context.Context, name string) (bool, error) {
	_, err := os.Stat(filepath.Join(a.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (a *dirArchive) Open(_ context.Context, name string) (io.ReadCloser, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opened[name]++
	return os.Open(filepath.Join(a.dir, name))
}

func (a *dirArchive) Same(_ context.Context, name string, r io.Reader) (bool, error) {
	stored, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		return false, err
	}
	data, err := io.ReadAll(r)
	return bytes.Equal(stored, data), err
}

func (a *dirArchive) Lacking(ctx context.Context, names []string) (lacking []string, err error) {
	for _, name := range names {
		has, err := a.Has(ctx, name)
		if err != nil {
			return nil, err
		}
		if !has {
			lacking = append(lacking, name)
		}
	}
	return lacking, nil
}

func (a *dirArchive) List(_ context.Context, timeline uint32, after string) ([]string, error) {
	return a.names(func(name string) bool {
		return strings.HasPrefix(name, fmt.Sprintf("%08X", timeline)) && name > after
	})
}

func (a *dirArchive) Timelines(context.Context) ([]uint32, error) {
	names, err := a.names(pg.IsWALFileName)
	var out []uint32
	for _, name := range names {
		tli, err := strconv.ParseUint(name[:8], 16, 32)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, uint32(tli)) {
			out = append(out, uint32(tli))
		}
	}
	return out, err
}

// names gives the names of the files that want wants, sorted.
func (a *dirArchive) names(want func(string) bool) ([]string, error) {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if want(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (a *dirArchive) PutMap(_ context.Context, name string, data []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.maps[name]; !ok {
		a.maps[name] = bytes.Clone(data)
	}
	return nil
}

func (a *dirArchive) GetMap(_ context.Context, name string) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got++
	if data, ok := a.maps[name]; ok {
		return bytes.Clone(data), nil
	}
	return nil, fs.ErrNotExist
}

func (a *dirArchive) ListMaps(_ context.Context, after string) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for name := range a.maps {
		if name > after {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
