package backup

import (
	"io/fs"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
)

// stat is what one look at a name tells.
type stat struct {
	kind     fs.FileMode // type bits
	mode     uint32      // permission bits
	uid, gid uint32
	size     int64
	sparse   bool // occupies less than its size
	mtime    time.Time
	identity repo.Identity
}
