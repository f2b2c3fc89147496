// Package pgcontrol reads global/pg_control of a data directory on whose files a server may work.
package pgcontrol

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/pkg/pg"
)

// Path is where the file is in a data directory.
const Path = "global/pg_control"

const (
	attempts = 10
	pause    = 10 * time.Millisecond
)

// Read gives what the file says, and its bytes. The server rewrites it in place, so that a read may come in the
// middle of a write: then the CRC does not match, and it is read again, for a tenth of a second.
func Read(ctx context.Context, dir string) (pg.Control, []byte, error) {
	name := filepath.Join(dir, filepath.FromSlash(Path))
	var last error
	for range attempts {
		b, err := os.ReadFile(name)
		if err != nil {
			return pg.Control{}, nil, err
		}
		control, err := pg.ParseControl(b)
		if err == nil {
			return control, b, nil
		}
		last = fmt.Errorf("%s: %w", name, err)
		if err := pace.Sleep(ctx, pause); err != nil {
			return pg.Control{}, nil, err
		}
	}
	return pg.Control{}, nil, last
}
