package receive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// A receiver tries again after what passes. Asked to end, it ends well although the server has gone, and not although
// something could not be stored.
func TestAgain(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	lost := fmt.Errorf("server x: %w", server.ErrSessionLost)
	refused := fmt.Errorf("x: %w", &server.ConnectError{Cause: server.Unreachable})
	wrong := fmt.Errorf("x: %w", &server.ConnectError{Cause: server.BadSettings})
	full := &fs.PathError{Op: "write", Path: "/x", Err: errors.New("no space left on device")}
	for _, c := range []struct {
		name       string
		err        error
		again      bool // while nobody asked it to end
		goodIfDone bool // when somebody has
	}{
		{"session lost", lost, true, true},
		{"session lost, and not closed either", errors.Join(lost, errors.New("closing")), true, true},
		{"server away", refused, true, true},
		{"repository away", fmt.Errorf("x: %w", repo.ErrUnreachable), true, false},
		{"disk full", full, true, false},
		{"settings", wrong, false, false},
		{"another line", &LineError{Server: "x"}, false, false},
	} {
		r := &receiver{}
		if again, err := r.again(t.Context(), c.err); again != c.again || (err == nil) != again {
			t.Errorf("%s: again %v, %v", c.name, again, err)
		}
		if again, err := r.again(ended, c.err); again || (err == nil) != c.goodIfDone {
			t.Errorf("%s, asked to end: again %v, %v", c.name, again, err)
		}
	}
}
