package backup

import (
	"context"
	"log/slog"
)

// measure finds out how many bytes there are to be handled, if somebody looks at the progress before
// done is closed. It walks as the copy does, only ahead of it.
func (c *copier) measure(ctx context.Context, done <-chan struct{}) error {
	if c.progress == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.progress.wanted():
	}
	w := c.walker
	w.skipped = &warnings{log: slog.New(slog.DiscardHandler)} // the copy's walk tells
	for e, err := range w.walk(ctx) {
		if err != nil {
			return err
		}
		select {
		case <-done:
			return nil
		default:
		}
		c.progress.addMeasured(e.size)
	}
	return nil
}
