package server

import (
	"context"
	"fmt"
)

// HoldWAL keeps the server from removing WAL until the session ends (a temporary
// physical slot): all WAL from its latest checkpoint's redo position on. ok=false with a reason when the role
// or the settings do not allow it. max_slot_wal_keep_size may still take a slot away, so a
// caller must notice when WAL that it needs is gone.
func (s *Server) HoldWAL(ctx context.Context) (ok bool, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slot {
		return true, ""
	}
	const sql = `SELECT slot_name::text FROM pg_create_physical_replication_slot($1, true, true)`
	var name string
	// Slot names are unique in a server; the session's process id makes it so.
	err := s.queryRow(ctx, "pg_create_physical_replication_slot", sql,
		[]any{fmt.Sprintf("pgincr_%d", s.conn.PgConn().PID())}, &name)
	if err != nil {
		return false, err.Error()
	}
	s.slot = true
	return true, ""
}
