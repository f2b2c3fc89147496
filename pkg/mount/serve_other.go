//go:build !linux

package mount

import (
	"context"
	"errors"
)

// serve needs FUSE.
func serve(_ context.Context, _ *entry, _ string, o Options) error {
	return &UnavailableError{Dir: o.Dir, Err: errors.ErrUnsupported}
}
