package pace

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	// All workers together read no faster than asked for, and a wait ends with its context.
	now := time.Unix(0, 0)
	l := New(1<<30, func() time.Time { return now })
	if err := l.Wait(t.Context(), 1<<20); err != nil { // the first is free
		t.Fatal(err)
	}
	if want := now.Add(time.Second / 1024); !l.next.Equal(want) {
		t.Errorf("paid up to %s, want %s", l.next, want)
	}
	start := time.Now()
	if err := l.Wait(t.Context(), 1<<20); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < time.Second/1024 {
		t.Errorf("waited %s", d)
	}
	now = now.Add(time.Hour) // what was not used is not saved up
	if err := l.Wait(t.Context(), 1<<30); err != nil || !l.next.Equal(now.Add(time.Second)) {
		t.Errorf("%v, paid up to %s", err, l.next)
	}
	planted := errors.New("planted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(planted)
	if err := l.Wait(ctx, 1); !errors.Is(err, planted) {
		t.Errorf("cancelled: %v", err)
	}
	var none *Limiter
	if err := none.Wait(ctx, 1<<30); err != nil {
		t.Errorf("no limit: %v", err)
	}
	if New(0, nil) != nil {
		t.Error("rate 0 limits")
	}
}
