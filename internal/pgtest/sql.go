package pgtest

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Session is one connection, for what must happen in one: open transactions,
// locks, SET.
type Session struct {
	t    testing.TB
	conn *pgconn.PgConn
}

// Connect opens a session in a database. It ends with the test at the latest.
func (c *Cluster) Connect(db string) *Session {
	c.t.Helper()
	s, err := c.connect(db)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(s.Close)
	return s
}

func (c *Cluster) connect(db string) (*Session, error) {
	ctx, cancel := withPatience()
	defer cancel()
	conn, err := pgconn.Connect(ctx, c.DSN(db))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Install, err)
	}
	return &Session{t: c.t, conn: conn}, nil
}

// Close ends the session.
func (s *Session) Close() {
	ctx, cancel := withPatience()
	defer cancel()
	// The server may be gone, which is as good.
	_ = s.conn.Close(ctx)
}

// Try runs one or more statements, in one implicit transaction as psql -c does,
// and returns the rows of the last one, in PostgreSQL's text form; NULL is "".
func (s *Session) Try(sql string) ([][]string, error) {
	ctx, cancel := withPatience()
	defer cancel()
	results, err := s.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w\nSQL: %s", err, sql)
	}
	if len(results) == 0 {
		return nil, nil
	}
	last := results[len(results)-1]
	rows := make([][]string, len(last.Rows))
	for i, row := range last.Rows {
		for _, value := range row {
			rows[i] = append(rows[i], string(value))
		}
	}
	return rows, nil
}

// Exec runs statements whose rows do not matter.
func (s *Session) Exec(sql string) {
	s.t.Helper()
	s.Rows(sql)
}

// Rows runs statements and returns the rows of the last one.
func (s *Session) Rows(sql string) [][]string {
	s.t.Helper()
	rows, err := s.Try(sql)
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// Query1 runs a query that yields exactly one value.
func (s *Session) Query1(sql string) string {
	s.t.Helper()
	rows := s.Rows(sql)
	if len(rows) != 1 || len(rows[0]) != 1 {
		s.t.Fatalf("%q, want one value\nSQL: %s", rows, sql)
	}
	return rows[0][0]
}

// TryExec runs statements that may fail, in the database postgres.
func (c *Cluster) TryExec(sql string) error {
	s, err := c.connect("postgres")
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Try(sql)
	return err
}

// Exec runs statements in the database postgres, in a session of their own.
func (c *Cluster) Exec(sql string) { c.t.Helper(); c.RowsIn("postgres", sql) }

// ExecIn is Exec in another database.
func (c *Cluster) ExecIn(db, sql string) { c.t.Helper(); c.RowsIn(db, sql) }

// Rows runs statements in the database postgres and returns the rows of the
// last one.
func (c *Cluster) Rows(sql string) [][]string { c.t.Helper(); return c.RowsIn("postgres", sql) }

// RowsIn is Rows in another database.
func (c *Cluster) RowsIn(db, sql string) [][]string {
	c.t.Helper()
	s, err := c.connect(db)
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close()
	return s.Rows(sql)
}

// Query1 runs a query that yields exactly one value, in the database postgres.
func (c *Cluster) Query1(sql string) string { c.t.Helper(); return c.Query1In("postgres", sql) }

// Query1In is Query1 in another database.
func (c *Cluster) Query1In(db, sql string) string {
	c.t.Helper()
	s, err := c.connect(db)
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close()
	return s.Query1(sql)
}

// Databases returns the names of all databases that take connections.
func (c *Cluster) Databases() []string {
	c.t.Helper()
	var names []string
	rows := c.Rows(`SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname COLLATE "C"`)
	for _, row := range rows {
		names = append(names, row[0])
	}
	return names
}
