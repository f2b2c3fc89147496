package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pgincr/pgincr/internal/durable"
)

// Get writes the archived file called name to dest, durable under its final
// name or not at all. It fails with fs.ErrNotExist only when the archive certainly lacks the file.
// The commit point is the rename to dest.
func Get(ctx context.Context, a Archive, name, dest string) (err error) {
	src, err := a.Open(ctx, name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer func() { err = errors.Join(err, hideNotExist(src.Close())) }()
	err = durable.WriteFile(dest, 0o600, func(w io.Writer) error {
		_, err := io.Copy(w, src)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, hideNotExist(err))
	}
	return nil
}

// hideNotExist makes an error that is fs.ErrNotExist one that is not: it is of
// another object, the directory to write to perhaps, and says nothing about
// what the archive has. PostgreSQL takes that for the end of WAL.
func hideNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New(err.Error())
	}
	return err
}
