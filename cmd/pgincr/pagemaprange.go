package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// position is an end of a range: where a backup starts, with the history that its server had, or no more than an LSN.
type position struct {
	lsn     pg.LSN
	history *pg.History // nil: only the LSN is known
}

// parsePosition tells an LSN, which has a slash, from the name of a backup.
func parsePosition(s string) (lsn pg.LSN, ok bool, err error) {
	if !strings.Contains(s, "/") {
		return 0, false, nil
	}
	lsn, err = pg.ParseLSN(s)
	return lsn, true, err
}

// findPosition looks a backup up, if it is one.
func findPosition(ctx context.Context, cluster *repo.Cluster, s string) (position, error) {
	if lsn, ok, err := parsePosition(s); ok || err != nil {
		return position{lsn: lsn}, err
	}
	m, err := findBackup(ctx, cluster, s)
	if err != nil {
		return position{}, err
	}
	h, err := pg.ParseHistory(m.Timeline, []byte(m.History))
	if err != nil {
		return position{}, fmt.Errorf("backup %s: %w", m.ID, err)
	}
	return position{m.StartLSN, &h}, nil
}

// request says which range the flags mean.
func (c *pagemapShowCommand) request(
	ctx context.Context, p *program, cluster *repo.Cluster,
) (req wal.MapRequest, err error) {
	var from, to position
	if from, err = findPosition(ctx, cluster, c.From); err != nil {
		return req, err
	}
	if c.To != "" {
		if to, err = findPosition(ctx, cluster, c.To); err != nil {
			return req, err
		}
	}
	archive := cluster.WAL(repo.Compression{Codec: repo.CodecZstd})
	req = wal.MapRequest{
		SystemIdentifier: cluster.Info.SystemIdentifier, Geometry: cluster.Info.Geometry,
		From: from.lsn, To: to.lsn, Archive: archive, Jobs: p.common.jobs(),
	}
	var control *pg.Control
	if c.PGData != "" {
		if control, err = clusterControl(ctx, c.PGData, cluster); err != nil {
			return req, err
		}
		req.Dir = filepath.Join(c.PGData, "pg_wal")
	}
	if req.History, err = c.history(ctx, histories{archive, req.Dir}, from, to); err != nil {
		return req, err
	}
	req.FromTimeline = req.History.TimelineAt(req.From)
	if from.history != nil {
		req.FromTimeline = from.history.Timeline
		if !from.history.SameLine(req.History, req.FromTimeline, req.From) {
			return req, fmt.Errorf("backup %s: starts at %s of timeline %d, which timeline %d did not live through",
				c.From, req.From, req.FromTimeline, req.History.Timeline)
		}
	}
	if c.To == "" {
		req.To, err = lastPosition(ctx, req, control)
		return req, err
	}
	if req.To < req.From {
		return req, fmt.Errorf("WAL from %s to %s: ends before it begins", req.From, req.To)
	}
	return req, nil
}

// clusterControl reads the pg_control of a data directory, which must be the cluster's.
func clusterControl(ctx context.Context, dir string, cluster *repo.Cluster) (*pg.Control, error) {
	control, err := readControl(ctx, dir)
	if err != nil {
		return nil, err
	}
	if control.SystemIdentifier != cluster.Info.SystemIdentifier {
		return nil, fmt.Errorf("%s: %w", dir, &repo.SystemIdentifierError{
			Cluster: cluster.Info.Name, Have: cluster.Info.SystemIdentifier, Want: control.SystemIdentifier,
		})
	}
	return &control, nil
}

// history gives that of the timeline on which the range ends.
func (c *pagemapShowCommand) history(ctx context.Context, h histories, from, to position) (pg.History, error) {
	switch {
	case c.Timeline != 0 && to.history != nil:
		return pg.History{}, &usageError{
			err: errors.New("--timeline: does not go with a backup in --to"), command: "pgincr pagemap show",
		}
	case c.Timeline != 0 && from.history != nil && c.Timeline == from.history.Timeline:
		return *from.history, nil
	case c.Timeline != 0:
		return h.of(ctx, c.Timeline)
	case to.history != nil:
		return *to.history, nil
	}
	return h.newest(ctx, from)
}

// lastPosition is where a range without an end ends: with the archived WAL, as far as that goes without a gap,
// or at the newest checkpoint of the data directory, whichever is later.
func lastPosition(ctx context.Context, req wal.MapRequest, control *pg.Control) (pg.LSN, error) {
	end, err := wal.End(ctx, req)
	var incomplete *wal.IncompleteError
	if control == nil || (err != nil && !errors.As(err, &incomplete)) {
		return end, err
	}
	if req.History.Contains(control.Timeline, control.Checkpoint) && control.Checkpoint > max(end, req.From) {
		return control.Checkpoint, nil
	}
	return end, err
}

// histories finds history files in the archive and, after that, in a pg_wal directory ("": none).
type histories struct {
	archive *repo.WALArchive
	dir     string
}

// maxHistory bounds the size of a history file that is read.
const maxHistory = 1 << 20

// of gives the history of a timeline.
func (h histories) of(ctx context.Context, tli pg.TimelineID) (pg.History, error) {
	if tli == 1 {
		return pg.History{Timeline: 1}, nil // it has no file
	}
	name := pg.HistoryFileName(tli)
	var r io.ReadCloser
	r, err := h.archive.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) && h.dir != "" {
		r, err = os.Open(filepath.Join(h.dir, name))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return pg.History{}, fmt.Errorf("timeline %d: %s is not archived", tli, name)
	}
	if err != nil {
		return pg.History{}, err
	}
	b, err := io.ReadAll(io.LimitReader(r, maxHistory))
	if err = errors.Join(err, r.Close()); err != nil {
		return pg.History{}, fmt.Errorf("%s: %w", name, err)
	}
	return pg.ParseHistory(tli, b)
}

// newest gives the history of the newest timeline that the position is on.
func (h histories) newest(ctx context.Context, from position) (pg.History, error) {
	names, err := h.archive.List(ctx, 0, "")
	if err != nil {
		return pg.History{}, err
	}
	if h.dir != "" {
		entries, err := os.ReadDir(h.dir)
		if err != nil {
			return pg.History{}, err
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	var timelines []pg.TimelineID
	for _, name := range names {
		if tli, ok := pg.ParseHistoryFileName(name); ok {
			timelines = append(timelines, tli)
		}
	}
	slices.Sort(timelines)
	for _, tli := range slices.Backward(slices.Compact(timelines)) {
		candidate, err := h.of(ctx, tli)
		if err != nil {
			return pg.History{}, err
		}
		if from.history == nil || from.history.SameLine(candidate, from.history.Timeline, from.lsn) {
			return candidate, nil
		}
	}
	if from.history != nil {
		return *from.history, nil
	}
	return pg.History{Timeline: 1}, nil
}
