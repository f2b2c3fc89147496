package remote

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/pgincr/pgincr/internal/pace"
)

// Pauses between repetitions: doubled from the first to the longest, each shortened at random by
// up to a half, so that many clients do not come back together.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// try carries a request out, repeats it while its trouble may pass and patience lasts, and counts it. When
// patience ends, the error is an *Error.
func (s *Store) try(ctx context.Context, count *atomic.Int64, request func(context.Context) error) error {
	patience := s.patience
	if !s.reached.Load() {
		patience /= 10
	}
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for tries := 1; ; tries++ {
		err := s.once(limit, count, request)
		if err == nil || !passing(err) {
			if err == nil || !isUnreachable(err) {
				s.reached.Store(true)
			}
			return err
		}
		if ctx.Err() != nil {
			return ended(ctx, last)
		}
		if last == nil || limit.Err() == nil { // not the one that only says that time is up
			last = err
		}
		if pace.Sleep(limit, s.pauseAfter(tries)) != nil {
			if ctx.Err() != nil {
				return ended(ctx, last)
			}
			return s.gaveUp(last, tries, patience)
		}
	}
}

// ended says why ctx ended, and what the trouble was if it was not repeated for longer because of that.
func ended(ctx context.Context, last error) error {
	err := context.Cause(ctx)
	if last != nil && errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w (%w)", last, err)
	}
	return err
}

// once carries a request out when there are not too many.
func (s *Store) once(ctx context.Context, count *atomic.Int64, request func(context.Context) error) error {
	if err := s.requests.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.requests.Release(1)
	count.Add(1)
	return request(ctx)
}

// gaveUp makes an *Error of the trouble that did not pass.
func (s *Store) gaveUp(err error, tries int, patience time.Duration) error {
	var known *Error
	if errors.As(err, &known) {
		err = known.Err
	}
	if tries > 1 {
		err = fmt.Errorf("%w (%d tries in %v)", err, tries, patience)
	}
	return &Error{s.String(), Unreachable, err}
}

// isUnreachable says whether the service has not answered.
func isUnreachable(err error) bool {
	var known *Error
	return errors.As(err, &known) &&
		(known.Cause == Unreachable || known.Cause == NoCredentials || known.Cause == Untrusted)
}

// pauseAfter is how long to wait after so many tries.
func (s *Store) pauseAfter(tries int) time.Duration {
	d := min(longestPause, s.pause<<min(tries-1, 10))
	return d - rand.N(d/2) //nolint:gosec // nothing to guess
}
