package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
)

// Sentinels that callers decide on.
var (
	// ErrCorrupt: stored bytes are not what was written.
	ErrCorrupt = errors.New("stored data is corrupt")
	// ErrExists: a create-only put found an object of that name. It is fs.ErrExist.
	ErrExists = fs.ErrExist
	// ErrNotFound: there is no such object, cluster or backup. It is fs.ErrNotExist.
	ErrNotFound = fs.ErrNotExist
	// ErrUnreachable: the repository cannot be reached; exit code 5.
	ErrUnreachable = errors.New("repository cannot be reached")
	// ErrLocked: another process holds the lock; exit code 4.
	ErrLocked = errors.New("locked")
	// ErrNewer: written by a newer pgincr.
	ErrNewer = errors.New("written by a newer pgincr")
)

// Store is a flat space of immutable objects under slash-separated names: a
// directory, or object storage. An object appears whole and durable, or not at
// all. All methods may be called from any goroutine.
//
// What the medium must guarantee: an object that appeared is seen by every
// later Open, Stat and List of anybody; it never changes; what is deleted does not come back.
// Package storetest holds a store to all of this.
type Store interface {
	// Create begins an object of unknown size; it exists once Commit returned.
	// Commit of a name that exists fails with ErrExists and changes nothing.
	Create(ctx context.Context, name string) (ObjectWriter, error)
	// Open gives random access to an object, or ErrNotFound.
	Open(ctx context.Context, name string) (ObjectReader, error)
	// Stat gives the size of an object, or ErrNotFound.
	Stat(ctx context.Context, name string) (int64, error)
	// List gives the names below prefix (which ends in a slash or is empty), relative to it,
	// sorted by their bytes. With a delimiter walk (recursive false) directories end in a slash.
	// A prefix below which there is nothing gives an empty list.
	List(ctx context.Context, prefix string, recursive bool) ([]ObjectInfo, error)
	// Delete removes objects, durably, in any order; one that is not there is no error.
	Delete(ctx context.Context, names ...string) error
	// Lock takes a named exclusive lock that dies with this process, or fails with an error that
	// is ErrLocked and names the owner. unlock may be called more than once; a lock whose unlock
	// the caller has dropped may end at any time. Where nothing may be written, the error is fs.ErrPermission.
	Lock(ctx context.Context, name, owner string) (unlock func() error, err error)
	// Locks gives the locks below prefix (as of List) that are held, by this process or
	// another, sorted by name: every one that was taken before the call and is not given up. Those
	// of dead owners are not among them. Only those are looked at whose name, without the prefix,
	// want accepts: that costs time for each. Nil accepts all.
	Locks(ctx context.Context, prefix string, want func(name string) bool) ([]LockInfo, error)
	// String gives the URL, without secrets.
	String() string
}

// ObjectInfo is one row of a listing.
type ObjectInfo struct {
	Name string
	Size int64
}

// LockInfo is one lock that is held.
type LockInfo struct {
	Name  string // relative to the prefix
	Owner string // what its owner says of itself; "" when that cannot be read
}

// ObjectWriter fills one object. Not safe for concurrent use.
type ObjectWriter interface {
	io.Writer
	// Commit makes the object durable and visible under its name. After an error
	// nothing is left to abort.
	Commit(ctx context.Context) error
	// Abort drops what was written. After Commit it does nothing.
	Abort() error
}

// ObjectReader reads one object; ReadAt may be called from many goroutines.
type ObjectReader interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// OpenStore opens the store that url names: a path or file:///path. Those of package remote are opened
// by their own packages. It does not
// look whether anything is there; the first use does.
func OpenStore(_ context.Context, url string) (Store, error) {
	path, err := localPath(url)
	if err != nil {
		return nil, err
	}
	return newDirStore(path)
}

// localPath gives the directory that a URL names.
func localPath(s string) (string, error) {
	if s == "" {
		return "", errors.New("repository: no path or URL given")
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || strings.Contains(scheme, "/") {
		return s, nil
	}
	if scheme != "file" {
		return "", fmt.Errorf("repository %s://…: scheme %q is not known; known are "+
			"paths, file:///path, s3://, gs://, azblob:// and sftp://", scheme, scheme)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", fmt.Errorf("repository file://%s: not a URL", rest)
	case u.Host != "" && u.Host != "localhost":
		return "", fmt.Errorf("repository %s: a file URL has no host: file:///path", s)
	case u.RawQuery != "" || u.Fragment != "" || !filepath.IsAbs(u.Path):
		return "", fmt.Errorf("repository %s: want file:///path", s)
	}
	return u.Path, nil
}
