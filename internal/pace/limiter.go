package pace

import (
	"context"
	"sync"
	"time"
)

// Limiter lets all workers together move at most rate bytes per second. mu guards next. A nil
// Limiter does not limit.
type Limiter struct {
	rate  int64
	clock func() time.Time

	mu   sync.Mutex
	next time.Time // when the bytes granted so far are paid for
}

// New gives nil for rate 0, in bytes per second.
func New(rate int64, clock func() time.Time) *Limiter {
	if rate == 0 {
		return nil
	}
	return &Limiter{rate: rate, clock: clock}
}

// Wait returns when n more bytes may be moved, or with the cause of ctx's end.
func (l *Limiter) Wait(ctx context.Context, n int) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	now := l.clock()
	if l.next.Before(now) {
		l.next = now
	}
	d := l.next.Sub(now)
	l.next = l.next.Add(time.Duration(float64(n) / float64(l.rate) * float64(time.Second)))
	l.mu.Unlock()
	return Sleep(ctx, d)
}
