package server

import (
	"context"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
)

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

// LastArchived gives pg_stat_archiver's newest archived file, "" when there is none, and its count of
// failures.
func (s *Server) LastArchived(ctx context.Context) (name string, failed int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const sql = "SELECT coalesce(last_archived_wal, ''), failed_count FROM pg_stat_archiver"
	if err := s.queryRow(ctx, "pg_stat_archiver", sql, nil, &name, &failed); err != nil {
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
