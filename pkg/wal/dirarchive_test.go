package wal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

func (a *dirArchive) Open(_ context.Context, name string) (io.ReadCloser, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opened[name]++
	return os.Open(filepath.Join(a.dir, name))
}

func (a *dirArchive) List(_ context.Context, timeline uint32) ([]string, error) {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		_, history := pg.ParseHistoryFileName(e.Name())
		if history == (timeline == 0) && (history || strings.HasPrefix(e.Name(), fmt.Sprintf("%08X", timeline))) {
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

func (a *dirArchive) ListMaps(context.Context) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for name := range a.maps {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// segments gives the names of the whole segments of all timelines, sorted.
func (a *dirArchive) segments() ([]string, error) {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if pg.IsWALFileName(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
