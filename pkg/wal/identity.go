package wal

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// SystemIdentifier reads from the header of a WAL segment file which cluster wrote it.
func SystemIdentifier(path string) (id uint64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("WAL file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := make([]byte, longHeaderSize)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("WAL file: %w", err)
	}
	h, err := parseSegmentHeader(b[:n])
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return h.sysid, nil
}
