package server

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Database is one row of pg_database.
type Database struct {
	OID      pg.OID
	Name     string // its bytes, whatever their encoding
	Template bool
}

// Databases gives the databases of the cluster, by OID.
func (s *Server) Databases(ctx context.Context) ([]Database, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const doing = "databases"
	if s.conn.IsClosed() {
		return nil, s.statementError(ctx, doing, ErrSessionLost)
	}
	rows, err := s.conn.Query(ctx, "SELECT oid::int8, datname::text, datistemplate FROM pg_database ORDER BY oid")
	if err != nil {
		return nil, s.statementError(ctx, doing, err)
	}
	var all []Database
	var oid int64
	var name string
	var template bool
	_, err = pgx.ForEachRow(rows, []any{&oid, &name, &template}, func() error {
		all = append(all, Database{OID: pg.OID(oid), Name: name, Template: template})
		return nil
	})
	return all, s.statementError(ctx, doing, err)
}
