package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgincr/pgincr/internal/pgcontrol"
	"github.com/pgincr/pgincr/pkg/pg"
)

// notDataDirectoryError: what -D names is no data directory, or is not there at all.
type notDataDirectoryError struct {
	Dir string
	Err error
}

func (e *notDataDirectoryError) Error() string {
	return fmt.Sprintf("%s: not a data directory: %v", e.Dir, e.Err)
}

func (e *notDataDirectoryError) Unwrap() error { return e.Err }

// verifyDataDirectory says whether there is a data directory at all.
func verifyDataDirectory(dir string) error {
	_, err := os.Stat(filepath.Join(dir, filepath.FromSlash(pgcontrol.Path)))
	if errors.Is(err, fs.ErrNotExist) {
		return &notDataDirectoryError{Dir: dir, Err: err}
	}
	return err
}

// readControl reads global/pg_control.
func readControl(ctx context.Context, dir string) (pg.Control, error) {
	control, _, err := pgcontrol.Read(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = &notDataDirectoryError{Dir: dir, Err: err}
	}
	return control, err
}
