package backup

import (
	"context"
	"sync"
	"time"
)

// limiter lets all workers together read at most rate bytes per second. mu guards next. A nil
// limiter does not limit.
type limiter struct {
	rate  int64
	clock func() time.Time

	mu   sync.Mutex
	next time.Time // when the bytes granted so far are paid for
}

// newLimiter gives nil for rate 0.
func newLimiter(rate int64, clock func() time.Time) *limiter {
	if rate == 0 {
		return nil
	}
	return &limiter{rate: rate, clock: clock}
}

// wait returns when n more bytes may be read.
func (l *limiter) wait(ctx context.Context, n int) error {
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
	if d <= 0 {
		return nil
	}
	return pause(ctx, d)
}
