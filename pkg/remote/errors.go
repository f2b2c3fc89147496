package remote

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/pgincr/pgincr/pkg/repo"
)

// ErrChanged: an object has another version than the one that was to be replaced, or is gone.
var ErrChanged = errors.New("object was changed by somebody else")

// Cause says why a service does not do what it was asked for.
type Cause int

// The causes. All but Unreachable stay until somebody does something about them.
const (
	Unreachable   Cause = iota // no answer, or none that makes sense, for as long as was waited
	NoSpace                    // there is no such bucket, container or directory
	NoCredentials              // none were found
	Credentials                // those found are wrong or expired
	Denied                     // what was asked for is not allowed with them
	Untrusted                  // the service cannot prove to be the one that is meant
	Unfit                      // the service lacks what a repository needs
	Refused                    // anything else that the service does not do
)

// Error says that a repository cannot be used. It is repo.ErrUnreachable; a denied one is
// fs.ErrPermission as well. It is nothing that Err is: a key file that is missing is no missing object.
type Error struct {
	Repo  string // URL without secrets
	Cause Cause
	Err   error // for people
}

func (e *Error) Error() string {
	what := map[Cause]string{
		Unreachable: "cannot be reached", NoSpace: "does not exist", NoCredentials: "no credentials found",
		Credentials: "credentials are refused", Denied: "access denied", Untrusted: "cannot prove its identity",
		Unfit: "is not fit for a repository", Refused: "request refused",
	}[e.Cause]
	return fmt.Sprintf("repository %s: %s: %v", e.Repo, what, e.Err)
}

func (e *Error) Is(target error) bool {
	return target == repo.ErrUnreachable || target == fs.ErrPermission && e.Cause == Denied
}

// LostLockError: a lock ended before it was given up, because the service could not be reached
// for longer than a lease lasts. What was done meanwhile was perhaps not done alone.
type LostLockError struct {
	Name string
	Err  error
}

func (e *LostLockError) Error() string {
	return fmt.Sprintf("lock %s: lost while it was needed: %v", e.Name, e.Err)
}

func (e *LostLockError) Unwrap() error { return e.Err }

// passing says whether it may help to try again.
func passing(err error) bool {
	if known, ok := errors.AsType[*Error](err); ok {
		return known.Cause == Unreachable
	}
	return !errors.Is(err, repo.ErrNotFound) && !errors.Is(err, repo.ErrExists) && !errors.Is(err, ErrChanged)
}
