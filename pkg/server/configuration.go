package server

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// ConfigFile is a file from which the server takes its configuration.
type ConfigFile struct {
	Setting  string // config_file, hba_file or ident_file
	Included bool   // it is not the file that the setting names, but included by that
	Path     string // absolute, where the server's host has it
}

// ConfigFiles gives the files that the three settings name, in that order, and those that config_file includes, as
// far as a setting that is in force stands in them.
func (s *Server) ConfigFiles(ctx context.Context) ([]ConfigFile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const doing = "configuration files"
	if s.conn.IsClosed() {
		return nil, s.statementError(ctx, doing, ErrSessionLost)
	}
	rows, err := s.conn.Query(ctx, `SELECT name, path, included FROM (
		SELECT false, name, setting FROM pg_settings
		WHERE name IN ('config_file', 'hba_file', 'ident_file') AND setting <> ''
		UNION SELECT true, 'config_file', sourcefile FROM pg_settings WHERE sourcefile <> '') f (included, name, path)
		ORDER BY included, name, path`)
	if err != nil {
		return nil, s.statementError(ctx, doing, err)
	}
	var all []ConfigFile
	var f ConfigFile
	_, err = pgx.ForEachRow(rows, []any{&f.Setting, &f.Path, &f.Included}, func() error {
		all = append(all, f)
		return nil
	})
	return all, s.statementError(ctx, doing, err)
}

// ReadFile gives the first bytes of a file, at most limit, as the server reads it. The role needs to be superuser, or
// a right that is rarely given.
func (s *Server) ReadFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b []byte
	err := s.queryRow(ctx, "pg_read_binary_file", "SELECT pg_read_binary_file($1, 0, $2)", []any{path, limit}, &b)
	return b, err
}
