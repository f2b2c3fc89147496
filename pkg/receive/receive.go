package receive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// LockName is that of the lock which a receiver of a cluster holds.
const LockName = "receive-wal"

// Options say what to receive, and how.
type Options struct {
	Server        server.Config
	Slot          string // of the server; holds WAL while there is no receiver
	CreateSlot    bool   // make the slot when it is not there
	FlushInterval time.Duration
	// AfterGap goes on at the earliest WAL that the server has when it has no more what follows on the archive's.
	AfterGap    bool
	Compression repo.Compression
	Log         *slog.Logger
	Clock       func() time.Time
}

// How long to wait before trying again, doubled each time.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// flushGrace bounds how long what was received is stored after the end was asked for.
const flushGrace = 30 * time.Second

// Run receives until ctx is cancelled, then stores what it has and returns nil. A server or a repository that is
// away is waited for. It fails with repo.ErrLocked while another receiver of the cluster runs, and where trying
// again cannot help: another cluster or line of history, a missing slot or right, WAL that is gone.
func Run(ctx context.Context, c *repo.Cluster, o Options) (err error) {
	unlock, err := c.Lock(ctx, LockName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	r := &receiver{Options: o, cluster: c, archive: c.WAL(o.Compression), g: c.Info.Geometry}
	pause := firstPause
	for {
		r.progress = false
		err := r.session(ctx)
		if err == nil || errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errGone) {
			continue
		}
		if again, err := r.again(ctx, err); !again {
			return err
		}
		if r.progress {
			pause = firstPause
		}
		o.Log.Warn("no WAL is received", "reason", err, "again_in", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// receiver is what lasts over sessions.
type receiver struct {
	Options
	cluster   *repo.Cluster
	archive   *repo.WALArchive
	g         geometry
	connected bool               // once at least
	progress  bool               // something was received in this session
	gone      *server.StartError // where the session before could not begin
}

// LineError: the server is not on the line of history of what was received.
type LineError struct {
	Server string
	Reason string
}

func (e *LineError) Error() string {
	return fmt.Sprintf("server %s: is on another line of history: %s", e.Server, e.Reason)
}

// behindError: the server has not yet what was received from another one.
type behindError struct{ text string }

func (e *behindError) Error() string { return e.text }

// again says whether to try again after a session that ended with an error, or else how the receiver ends.
func (r *receiver) again(ctx context.Context, err error) (bool, error) {
	switch {
	case !r.temporary(err):
		return false, err
	case ctx.Err() == nil:
		return true, nil
	case serverAway(err): // it was asked to end while the server went
		return false, nil
	}
	return false, err
}

// serverAway says whether an error is that the server is not there. What was received before is stored then: an error
// of that comes instead.
func serverAway(err error) bool {
	var connect *server.ConnectError
	return errors.Is(err, server.ErrSessionLost) || errors.As(err, &connect)
}

// temporary says whether trying again can help.
func (r *receiver) temporary(err error) bool {
	var connect *server.ConnectError
	var slot *server.SlotError
	var behind *behindError
	var path *fs.PathError
	switch {
	case errors.As(err, &connect):
		settings := connect.Cause == server.BadSettings || connect.Cause == server.Authentication && !r.connected
		return !settings
	case errors.As(err, &slot):
		return !slot.Missing // in use: by the session that was lost, until the server notices
	case errors.Is(err, fs.ErrExist):
		return false
	}
	return errors.Is(err, server.ErrSessionLost) || errors.Is(err, repo.ErrUnreachable) ||
		errors.As(err, &behind) || errors.As(err, &path) // a full disk, perhaps
}
