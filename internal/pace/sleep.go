// Package pace waits: for some time, or so long that many workers together stay below a rate.
package pace

import (
	"context"
	"time"
)

// Sleep waits for d, which may be none, or gives the cause of ctx's end.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
