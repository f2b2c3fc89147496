package backup

import (
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// entry is one directory, link or regular file that belongs to the backup.
type entry struct {
	path     string // as in the index
	kind     entryKind
	mode     uint32 // permission bits
	uid, gid uint32
	size     int64 // bytes; 0 for directories and links
	sparse   bool  // occupies less than its size
	mtime    time.Time
	identity repo.Identity
	link     string // target of a link
	rel      pg.RelSegment
	isRel    bool // rel is set: the path is that of a relation segment file
}

type entryKind uint8

const (
	entryDir entryKind = iota
	entryFile
	entryLink
)

// file is the entry as it goes into the index, without content.
func (e *entry) file(kind repo.FileKind) *repo.File {
	return &repo.File{
		Path: e.path, Kind: kind, Mode: e.mode, UID: e.uid, GID: e.gid, ModTime: e.mtime,
		Size: e.size, Identity: e.identity, Link: e.link,
	}
}
