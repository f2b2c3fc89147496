package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// plainDir is a directory of WAL segments as an archive. What is put there is lost.
type plainDir string

func (d plainDir) Put(context.Context, string, io.Reader) error { return errors.New("not here") }

func (d plainDir) Open(_ context.Context, name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(string(d), name))
}

func (d plainDir) Has(_ context.Context, name string) (bool, error) {
	_, err := os.Stat(filepath.Join(string(d), name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (d plainDir) Lacking(context.Context, []string) ([]string, error) {
	return nil, errors.New("not here")
}

func (d plainDir) List(context.Context, uint32, string) ([]string, error) {
	entries, err := os.ReadDir(string(d))
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "00000001") {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (d plainDir) Same(context.Context, string, io.Reader) (bool, error) {
	return false, fs.ErrNotExist
}

func (d plainDir) Timelines(context.Context) ([]uint32, error)                  { return []uint32{1}, nil }
func (d plainDir) PutMap(context.Context, string, []byte) error                 { return nil }
func (d plainDir) GetMap(context.Context, string) ([]byte, error)               { return nil, fs.ErrNotExist }
func (d plainDir) ListMaps(context.Context, string) (names []string, err error) { return nil, nil }
