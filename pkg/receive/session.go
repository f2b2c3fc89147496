package receive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/server"
)

// statusInterval is how often the server hears of the receiver, also when there is nothing new.
const statusInterval = 10 * time.Second

// session receives over one connection until that is lost or ctx is cancelled. What was received is stored in any case.
func (r *receiver) session(ctx context.Context) (err error) {
	s, err := server.ConnectReplication(ctx, r.Server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	r.connected = true
	if r.Slot != "" && r.CreateSlot {
		created, err := s.CreateSlot(ctx, r.Slot)
		if err != nil {
			return err
		}
		if created {
			r.Log.Info("created a replication slot", "server", s, "slot", r.Slot)
		}
	}
	pos, id, err := r.begin(ctx, s)
	if err == nil && r.gone != nil {
		pos, err = r.behindGap(ctx, s, pos, id)
	}
	if err != nil {
		return err
	}
	err = r.follow(ctx, s, pos)
	var start *server.StartError
	if r.gone == nil && (pos.again || r.AfterGap) && errors.As(err, &start) && start.Removed {
		r.gone = start
		return errGone
	}
	return err
}

// errGone: the server does not have the WAL at which a session began; the next one begins behind it. After this error
// a connection is of no more use.
var errGone = errors.New("begins behind WAL that is gone")

// behindGap says where to begin when the WAL at pos is gone from the server.
func (r *receiver) behindGap(
	ctx context.Context, s *server.Replication, pos position, id server.Identity,
) (position, error) {
	gone := r.gone
	r.gone = nil
	if pos.again { // only its page map is missing
		pos.at, pos.again = pos.at+pg.LSN(r.g.WALSegmentSize), false
		return pos, nil
	}
	pos, err := r.first(ctx, s, id)
	if err == nil {
		r.Log.Warn("WAL is missing in the repository", "from", gone.At, "to", pos.at)
	}
	return pos, err
}

// follow streams one timeline after the other.
func (r *receiver) follow(ctx context.Context, s *server.Replication, pos position) error {
	for {
		next, err := s.StartStream(ctx, r.Slot, pos.timeline, pos.at)
		if err != nil {
			return err
		}
		if next.Timeline == 0 {
			r.Log.Info("receiving WAL", "server", s, "timeline", pos.timeline, "from", pos.at)
			if next, err = r.timeline(ctx, s, pos); err != nil || next.Timeline == 0 {
				return err
			}
		}
		r.Log.Info("the timeline ended", "timeline", pos.timeline, "next", next.Timeline, "at", next.Begin)
		if _, err := r.history(ctx, s, next.Timeline); err != nil {
			return err
		}
		pos = position{timeline: next.Timeline, at: r.segmentStart(next.Begin)}
	}
}

// stream is one timeline on its way.
type stream struct {
	r           *receiver
	server      *server.Replication
	seg         *segment
	lastFlush   time.Time
	lastConfirm time.Time
}

// timeline streams until the timeline ends and gives the next one. When ctx is cancelled there is neither a next
// one nor an error.
func (r *receiver) timeline(
	ctx context.Context, s *server.Replication, pos position,
) (next server.NextTimeline, err error) {
	seg, err := r.open(ctx, pos)
	if err != nil {
		return next, err
	}
	t := &stream{r: r, server: s, seg: seg, lastFlush: r.Clock(), lastConfirm: r.Clock()}
	defer func() {
		if t.seg != nil {
			err = errors.Join(err, t.seg.close())
		}
	}()
	ended, err := t.receive(ctx)
	if err != nil {
		if ferr := t.finish(ctx); ferr != nil || ctx.Err() != nil {
			return next, ferr
		}
		return next, err
	}
	if !ended {
		return next, nil
	}
	if err := t.flush(ctx); err != nil {
		return next, err
	}
	return s.EndStream(ctx)
}

// finish stores what was received when the stream is over, and tells the server if it still listens.
func (t *stream) finish(ctx context.Context) error {
	if t.seg == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushGrace)
	defer cancel()
	if err := t.seg.flush(ctx); err != nil {
		return err
	}
	_ = t.confirm(ctx) // whether or not it hears it, nothing is lost
	return nil
}

// receive takes messages until the timeline has ended, or with an error.
func (t *stream) receive(ctx context.Context) (ended bool, err error) {
	for {
		m, err := t.server.Receive(ctx, t.wait())
		switch {
		case errors.Is(err, server.ErrNoMessage):
		case err != nil:
			return false, err
		case m.Ended:
			return true, nil
		case len(m.Data) > 0:
			if err := t.take(ctx, m); err != nil {
				return false, err
			}
		}
		if err := t.report(ctx, m.Reply); err != nil {
			return false, err
		}
	}
}

// report stores and confirms what is due.
func (t *stream) report(ctx context.Context, asked bool) error {
	now := t.r.Clock()
	switch {
	case t.seg.pos > t.seg.flushed && now.Sub(t.lastFlush) >= t.r.FlushInterval:
		return t.flush(ctx)
	case asked || now.Sub(t.lastConfirm) >= statusInterval:
		return t.confirm(ctx)
	}
	return nil
}

// wait is how long to wait for a message: until something is to be done.
func (t *stream) wait() time.Duration {
	now := t.r.Clock()
	wait := t.lastConfirm.Add(statusInterval).Sub(now)
	if t.seg.pos > t.seg.flushed {
		wait = min(wait, t.lastFlush.Add(t.r.FlushInterval).Sub(now))
	}
	return wait
}

// take puts WAL into segments and stores those that are complete.
func (t *stream) take(ctx context.Context, m server.Message) (err error) {
	if want := t.seg.received(); m.At != want {
		return fmt.Errorf("server %s: sent WAL from %s instead of %s: %w", t.server, m.At, want, server.ErrSessionLost)
	}
	t.r.progress = true
	for data := m.Data; len(data) > 0; {
		if data, err = t.seg.write(data); err != nil {
			return err
		}
		if !t.seg.complete() {
			continue
		}
		if err := t.flush(ctx); err != nil {
			return err
		}
		seg := t.seg
		t.seg = nil
		if t.seg, err = seg.next(ctx); err != nil {
			return err
		}
	}
	return nil
}

// flush makes what was received durable and tells the server.
func (t *stream) flush(ctx context.Context) error {
	if err := t.seg.flush(ctx); err != nil {
		return err
	}
	t.lastFlush = t.r.Clock()
	return t.confirm(ctx)
}

func (t *stream) confirm(ctx context.Context) error {
	t.lastConfirm = t.r.Clock()
	return t.server.Confirm(ctx, t.seg.received(), t.seg.durable(), t.lastConfirm)
}
