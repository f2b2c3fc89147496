package server

import (
	"context"
	"fmt"
	"time"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/pkg/pg"
)

// Alive fails with ErrSessionLost when the session is gone, and with it backup mode. It waits for a statement that is
// running.
func (s *Server) Alive(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var one int
	if err := s.queryRow(ctx, "asking whether it is there", "SELECT 1", nil, &one); err != nil {
		return fmt.Errorf("server %s: %w", s.label, err)
	}
	return nil
}

// FlushLSN gives the position up to which WAL is safely on disk: on a primary
// what is flushed, on a standby what is received or replayed.
func (s *Server) FlushLSN(ctx context.Context) (pg.LSN, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Asked anew each time, because a standby may have been promoted. What a walreceiver received
	// begins anew with it, hence the greater of the two.
	const sql = `SELECT coalesce(CASE WHEN pg_is_in_recovery()
		THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
		ELSE pg_current_wal_flush_lsn() END::text, '')`
	var lsn string
	if err := s.queryRow(ctx, "WAL flush position", sql, nil, &lsn); err != nil {
		return 0, fmt.Errorf("server %s: %w", s.label, err)
	}
	if lsn == "" {
		return 0, fmt.Errorf("server %s: has neither received nor replayed WAL yet", s.label)
	}
	return parseLSN("WAL flush position", lsn)
}

// statisticsDelay is how late statistics may come before PostgreSQL 15: PGSTAT_STAT_INTERVAL (pgstat.c), 500 ms, and
// a little. From 15 on they lie in shared memory.
const statisticsDelay = 600 * time.Millisecond

// LastArchived gives pg_stat_archiver's newest archived file, "" when there is none, and its count of
// failures. Where the statistics know of none they may be late: before PostgreSQL 15 it looks a second time.
func (s *Server) LastArchived(ctx context.Context) (name string, failed int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const sql = "SELECT coalesce(last_archived_wal, ''), failed_count FROM pg_stat_archiver"
	err = s.queryRow(ctx, "pg_stat_archiver", sql, nil, &name, &failed)
	if err == nil && name == "" && s.info.Major() < 15 {
		if err := pace.Sleep(ctx, statisticsDelay); err != nil {
			return "", 0, err
		}
		err = s.queryRow(ctx, "pg_stat_archiver", sql, nil, &name, &failed)
	}
	if err != nil {
		return "", 0, fmt.Errorf("server %s: %w", s.label, err)
	}
	return name, failed, nil
}

// SummarizedLSN gives how far the server's WAL summarizer has come (17+).
func (s *Server) SummarizedLSN(ctx context.Context) (pg.TimelineID, pg.LSN, error) {
	const f = "pg_get_wal_summarizer_state"
	if s.info.Major() < 17 {
		return 0, 0, fmt.Errorf("server %s: PostgreSQL %d has no WAL summaries", s.label, s.info.Major())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var tli int64
	var lsn string
	err := s.queryRow(ctx, f, "SELECT summarized_tli, summarized_lsn::text FROM "+f+"()", nil, &tli, &lsn)
	if err != nil {
		return 0, 0, fmt.Errorf("server %s: %w", s.label, err)
	}
	at, err := parseLSN(f, lsn)
	return pg.TimelineID(tli), at, err
}

// ExtensionResourceManagers gives the names of the resource managers of WAL that extensions have brought (15+).
func (s *Server) ExtensionResourceManagers(ctx context.Context) (names []string, err error) {
	const f = "pg_get_wal_resource_managers"
	if s.info.Major() < 15 {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.queryRow(ctx, f, "SELECT coalesce(array_agg(rm_name::text ORDER BY rm_id), '{}') FROM "+f+
		"() WHERE NOT rm_builtin", nil, &names)
	if err != nil {
		return nil, fmt.Errorf("server %s: %w", s.label, err)
	}
	return names, nil
}

// Archiver is pg_stat_archiver. Names are "" and times zero where nothing has happened yet.
type Archiver struct {
	Archived   string    // newest archived file
	ArchivedAt time.Time // when that was
	Failed     string    // file of the last failure
	FailedAt   time.Time
	Failures   int64     // in all
	Now        time.Time // on the server
}

// Archiver gives the statistics of the server's archiver.
func (s *Server) Archiver(ctx context.Context) (a Archiver, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const sql = `SELECT coalesce(last_archived_wal, ''), coalesce(extract(epoch FROM last_archived_time), 0)::text,
		coalesce(last_failed_wal, ''), coalesce(extract(epoch FROM last_failed_time), 0)::text, failed_count,
		extract(epoch FROM clock_timestamp())::text FROM pg_stat_archiver`
	var archived, failed, now string
	err = s.queryRow(ctx, "pg_stat_archiver", sql, nil, &a.Archived, &archived, &a.Failed, &failed, &a.Failures, &now)
	for _, t := range []struct {
		text string
		to   *time.Time
	}{{archived, &a.ArchivedAt}, {failed, &a.FailedAt}, {now, &a.Now}} {
		if err == nil {
			*t.to, err = parseEpoch(t.text)
		}
	}
	if err != nil {
		return Archiver{}, fmt.Errorf("server %s: %w", s.label, err)
	}
	if a.Archived == "" {
		a.ArchivedAt = time.Time{}
	}
	if a.Failed == "" {
		a.FailedAt = time.Time{}
	}
	return a, nil
}

// Now gives the server's clock.
func (s *Server) Now(ctx context.Context) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var now string
	err := s.queryRow(ctx, "clock_timestamp", "SELECT extract(epoch FROM clock_timestamp())::text", nil, &now)
	if err != nil {
		return time.Time{}, fmt.Errorf("server %s: %w", s.label, err)
	}
	return parseEpoch(now)
}

// SwitchWAL ends the current segment and gives its name, or that of the one before if nothing was written since.
func (s *Server) SwitchWAL(ctx context.Context) (segment string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const f = "pg_switch_wal"
	var lsn, current string
	err = s.queryRow(ctx, f, "SELECT "+f+"()::text, pg_walfile_name(pg_current_wal_lsn())", nil, &lsn, &current)
	if err != nil {
		return "", fmt.Errorf("server %s: %w", s.label, err)
	}
	at, err := parseLSN(f, lsn)
	if err != nil {
		return "", err
	}
	g := s.info.Geometry
	tli, _, err := g.ParseWALFileName(current)
	if err != nil {
		return "", fmt.Errorf("server %s: %s: %w", s.label, f, err)
	}
	// The position is behind the end, or the beginning of the next segment; what pg_walfile_name makes of that
	// is another thing since PostgreSQL 17.
	return g.WALFileName(tli, g.SegmentOf(at-1)), nil
}
