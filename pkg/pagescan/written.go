package pagescan

import "github.com/pgincr/pgincr/pkg/repo"

// Written tells which file a file is and when it was last written, at the time of asking (Identify).
type Written struct {
	repo.Identity
	Size int64 // bytes
}
