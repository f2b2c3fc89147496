package receive

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

type geometry = pg.Geometry

// position is a place in the history of a cluster.
type position struct {
	timeline pg.TimelineID
	at       pg.LSN // beginning of a segment
	again    bool   // that segment is archived, and received once more for its page map
}

// begin proves that this is the server of the cluster and says where to begin: behind the newest complete segment that
// the archive has of the server's line of history; where it has none, at the earliest WAL that the slot holds.
func (r *receiver) begin(ctx context.Context, s *server.Replication) (pos position, id server.Identity, err error) {
	if id, err = s.Identify(ctx); err != nil {
		return pos, id, err
	}
	if id.SystemIdentifier != r.cluster.Info.SystemIdentifier {
		return pos, id, fmt.Errorf("server %s: %w", s, &repo.SystemIdentifierError{
			Cluster: r.cluster.Info.Name, Have: r.cluster.Info.SystemIdentifier, Want: id.SystemIdentifier,
		})
	}
	if id.SegmentSize != r.g.WALSegmentSize {
		return pos, id, &LineError{
			Server: s.String(),
			Reason: fmt.Sprintf("its WAL segments have %d bytes, those of the repository %d",
				id.SegmentSize, r.g.WALSegmentSize),
		}
	}
	h := pg.History{Timeline: id.Timeline}
	if id.Timeline > 1 {
		if h, err = r.history(ctx, s, id.Timeline); err != nil {
			return pos, id, err
		}
	}
	pos, found, err := r.newest(ctx, h)
	if err != nil {
		return pos, id, err
	}
	if !found {
		pos, err = r.first(ctx, s, id)
		return pos, id, err
	}
	if pos.at > id.Flushed && pos.timeline == id.Timeline {
		return pos, id, &behindError{fmt.Sprintf("server %s: has WAL up to %s only, received was all before %s",
			s, id.Flushed, pos.at)}
	}
	return pos, id, nil
}

// first gives the earliest position that the server is sure to have: where the slot's WAL begins, or where it writes.
func (r *receiver) first(ctx context.Context, s *server.Replication, id server.Identity) (position, error) {
	at := id.Flushed
	if r.Slot != "" {
		held, err := s.SlotStart(ctx, r.Slot)
		if err != nil {
			return position{}, err
		}
		if held != 0 {
			at = held
		}
	}
	return position{timeline: id.Timeline, at: r.segmentStart(at)}, nil
}

func (r *receiver) segmentStart(at pg.LSN) pg.LSN { return r.g.SegmentStart(r.g.SegmentOf(at)) }

// newest finds the newest complete segment of a line of history, and gives the beginning of the next.
func (r *receiver) newest(ctx context.Context, h pg.History) (pos position, found bool, err error) {
	if pos, found, err = r.newestOf(ctx, h.Timeline); err != nil || found {
		return pos, found, err
	}
	follows := h.Timeline
	for _, a := range slices.Backward(h.Ancestors) {
		pos, found, err = r.newestOf(ctx, a.Timeline)
		if err != nil || found && pos.at <= a.End {
			return pos, found, err
		}
		if found { // all of this timeline that the line has is archived
			return position{timeline: follows, at: r.segmentStart(a.End)}, true, nil
		}
		follows = a.Timeline
	}
	return pos, false, nil
}

// newestOf gives the position behind the newest complete segment of one timeline, or at its beginning where it has
// no page map because its receiver was killed. Without a complete segment it is that of the first with parts.
func (r *receiver) newestOf(ctx context.Context, tli pg.TimelineID) (pos position, found bool, err error) {
	names, err := r.archive.List(ctx, uint32(tli), "")
	if err != nil {
		return pos, false, err
	}
	for _, name := range slices.Backward(names) {
		if !pg.IsWALFileName(name) {
			continue
		}
		mapped, err := r.archive.HasMap(ctx, name)
		if err != nil {
			return pos, false, err
		}
		_, n, err := r.g.ParseWALFileName(name)
		if mapped {
			n++
		}
		return position{tli, r.g.SegmentStart(n), !mapped}, err == nil, err
	}
	parts, err := r.archive.Parts(ctx, uint32(tli))
	if err != nil || len(parts) == 0 {
		return pos, false, err
	}
	_, n, err := r.g.ParseWALFileName(parts[0].Segment)
	return position{timeline: tli, at: r.g.SegmentStart(n)}, err == nil, err
}

// history fetches the history file of a timeline and stores it. One of other content that is stored already belongs to
// another line.
func (r *receiver) history(ctx context.Context, s *server.Replication, tli pg.TimelineID) (pg.History, error) {
	data, err := s.History(ctx, tli)
	if err != nil {
		return pg.History{}, err
	}
	h, err := pg.ParseHistory(tli, data)
	if err != nil {
		return h, fmt.Errorf("server %s: %w", s, err)
	}
	err = r.put(ctx, pg.HistoryFileName(tli), data)
	if errors.Is(err, repo.ErrExists) {
		err = &LineError{Server: s.String(), Reason: fmt.Sprintf("timeline %d has another history in the repository", tli)}
	}
	return h, err
}
