package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
	_, err := os.Stat(controlPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return &notDataDirectoryError{Dir: dir, Err: err}
	}
	return err
}

// readControl reads global/pg_control.
func readControl(dir string) (control pg.Control, err error) {
	// The server rewrites the file in place: a read in the middle of that has a wrong CRC.
	for range 5 {
		var b []byte
		if b, err = os.ReadFile(controlPath(dir)); err != nil {
			break
		}
		if control, err = pg.ParseControl(b); err == nil {
			break
		}
		err = fmt.Errorf("%s: %w", controlPath(dir), err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = &notDataDirectoryError{Dir: dir, Err: err}
	}
	return control, err
}

func controlPath(dir string) string { return filepath.Join(dir, "global", "pg_control") }
