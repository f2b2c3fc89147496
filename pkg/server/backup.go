package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Stopped is what the server hands out at the end of a backup.
type Stopped struct {
	StopLSN       pg.LSN
	Label         []byte // backup_label, verbatim
	TablespaceMap []byte // tablespace_map, verbatim; empty: none
}

// StartBackup puts the server in backup mode (non-exclusive) and gives the
// start position: the redo position of its checkpoint. After an error backup mode may be on
// nevertheless, when ctx was cancelled; AbortBackup or Close ends it.
func (s *Server) StartBackup(ctx context.Context, label string, fast bool) (pg.LSN, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backup {
		return 0, errors.New("a backup is running in this session already")
	}
	f := s.info.startFunction()
	sql := "SELECT pg_backup_start($1, $2)::text"
	if s.info.Major() < 15 {
		sql = "SELECT pg_start_backup($1, $2, false)::text"
	}
	var lsn string
	s.backup = true
	if err := s.queryRow(ctx, f.name, sql, []any{label, fast}, &lsn); err != nil {
		var refused *QueryError
		if errors.As(err, &refused) {
			s.backup = false
		}
		return 0, s.backupError(f, err)
	}
	return parseLSN(f.name, lsn)
}

// StopBackup ends backup mode. It does not wait for archiving; notices and
// warnings of the server since StartBackup come along. On a standby that was promoted meanwhile it
// fails with *PromotedError. After an error the backup is lost and AbortBackup cleans up.
func (s *Server) StopBackup(ctx context.Context) (Stopped, []string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.info.stopFunction()
	if !s.backup {
		return Stopped{}, nil, fmt.Errorf("%s: no backup is running in this session", f.name)
	}
	sql := "SELECT lsn::text, labelfile, coalesce(spcmapfile, '') FROM pg_backup_stop(false)"
	if s.info.Major() < 15 {
		sql = "SELECT lsn::text, labelfile, coalesce(spcmapfile, '') FROM pg_stop_backup(false, false)"
	}
	var lsn, labelFile, spcMap string
	if err := s.queryRow(ctx, f.name, sql, nil, &lsn, &labelFile, &spcMap); err != nil {
		if hasCode(err, codeNotInState) && s.wasPromoted(ctx) {
			err = &PromotedError{Server: s.label}
		}
		return Stopped{}, s.takeNotices(), s.backupError(f, err)
	}
	s.backup = false
	stop, err := parseLSN(f.name, lsn)
	return Stopped{StopLSN: stop, Label: []byte(labelFile), TablespaceMap: []byte(spcMap)},
		s.takeNotices(), err
}

// AbortBackup ends backup mode, if it is on, after a failure; ctx may be cancelled already. It does so
// by ending the session, which works in every state and, other than a regular stop, writes no WAL; the Server is
// closed afterwards. Without a running backup it does nothing.
func (s *Server) AbortBackup(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.backup {
		return nil
	}
	return s.close(context.WithoutCancel(ctx))
}

// wasPromoted says whether a server that began this session as a standby is one no more.
func (s *Server) wasPromoted(ctx context.Context) bool {
	recovering := true
	err := s.queryRow(ctx, "pg_is_in_recovery", "SELECT pg_is_in_recovery()", nil, &recovering)
	return err == nil && s.info.InRecovery && !recovering
}

// backupError makes a missing right recognisable and names the server.
func (s *Server) backupError(f function, err error) error {
	var promoted *PromotedError
	switch {
	case hasCode(err, codeInsufficientPrivilege):
		return s.functionError(f)
	case errors.As(err, &promoted):
		return err
	}
	return fmt.Errorf("server %s: %w", s.label, err)
}

func parseLSN(doing, s string) (pg.LSN, error) {
	lsn, err := pg.ParseLSN(s)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	return lsn, nil
}
