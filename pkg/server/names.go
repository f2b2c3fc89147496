package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Names is how a server calls databases and relations at the moment it is asked.
type Names struct {
	Server           string // host or socket directory, and port
	SystemIdentifier uint64
	Databases        map[pg.OID]string
	// Relations has "schema.name", quoted as SQL wants it, of those asked for that are there.
	Relations map[pg.RelFileLocator]string
	// Unread are the databases that were not asked for their relations, and why.
	Unread map[string]string
}

// LookUpNames asks a server for the names of relations by their files, mapped catalogs
// included, in a session for each of their databases, one after the other. It needs no right
// but to connect: databases that the role may not enter are in Unread.
func LookUpNames(ctx context.Context, cfg Config, wanted []pg.RelFileLocator) (_ *Names, err error) {
	cc, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, cc.Copy())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	l := &nameLookup{
		wanted: map[pg.OID][]pg.RelFileLocator{},
		names: Names{
			Server: s.label, Databases: map[pg.OID]string{},
			Relations: map[pg.RelFileLocator]string{}, Unread: map[string]string{},
		},
	}
	for _, r := range wanted {
		l.wanted[r.DB] = append(l.wanted[r.DB], r)
	}
	if err := l.identify(ctx, s); err != nil {
		return nil, fmt.Errorf("server %s: %w", s.label, err)
	}
	for _, db := range l.open {
		err := l.inDatabase(ctx, s, cc, db)
		if err != nil {
			return nil, fmt.Errorf("database %s: %w", db.name, err)
		}
	}
	return &l.names, nil
}

// nameLookup is one LookUpNames at work.
type nameLookup struct {
	wanted map[pg.OID][]pg.RelFileLocator // by database; 0: shared relations
	open   []openDatabase                 // to be asked
	names  Names
}

// openDatabase is one that has relations which are wanted.
type openDatabase struct {
	oid     pg.OID
	name    string
	current bool // the first session is in it
}

// identify asks which databases there are, and finds those to be asked: the session's own, which
// knows the shared relations too, and the others of wanted relations.
func (l *nameLookup) identify(ctx context.Context, s *Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	const doing = "databases"
	if err := s.useUTF8(ctx); err != nil {
		return err
	}
	var systemID string
	const identity = "SELECT system_identifier::text FROM pg_control_system()"
	if err := s.queryRow(ctx, "pg_control_system", identity, nil, &systemID); err != nil {
		return err
	}
	var err error
	if l.names.SystemIdentifier, err = strconv.ParseUint(systemID, 10, 64); err != nil {
		return fmt.Errorf("system identifier %q: %w", systemID, err)
	}
	const sql = `SELECT oid::int8, datname::text, datname = current_database(), datallowconn,
		has_database_privilege(oid, 'CONNECT') FROM pg_database ORDER BY oid`
	rows, err := s.conn.Query(ctx, sql)
	if err != nil {
		return s.statementError(ctx, doing, err)
	}
	var oid int64
	var name string
	var current, allowed, mayConnect bool
	_, err = pgx.ForEachRow(rows, []any{&oid, &name, &current, &allowed, &mayConnect}, func() error {
		db := openDatabase{oid: pg.OID(oid), name: name, current: current}
		l.names.Databases[db.oid] = strings.ToValidUTF8(name, "?")
		switch {
		case current:
			if len(l.wanted[db.oid])+len(l.wanted[0]) > 0 {
				l.open = append(l.open, db)
			}
		case len(l.wanted[db.oid]) == 0:
		case !allowed:
			l.names.Unread[name] = "it takes no connections"
		case !mayConnect:
			l.names.Unread[name] = fmt.Sprintf("role %q lacks CONNECT on it", s.info.User)
		default:
			l.open = append(l.open, db)
		}
		return nil
	})
	return s.statementError(ctx, doing, err)
}

// inDatabase asks one database, in the session s if that is in it.
func (l *nameLookup) inDatabase(
	ctx context.Context, s *Server, cc *pgx.ConnConfig, db openDatabase,
) (err error) {
	if !db.current {
		// As psql's \connect does, with the user and the password of the first session.
		cc = cc.Copy()
		cc.Database = db.name
		if s, err = open(ctx, cc); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	}
	return l.relations(ctx, s, db)
}

// namesQuery finds relations by the numbers of their files. Temporary ones, which WAL never
// has, may have the same numbers as others (relpath.h puts the backend's into the path).
const namesQuery = `SELECT coalesce(nullif(c.reltablespace, 0), d.dattablespace)::int8,
	pg_relation_filenode(c.oid)::int8, format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	JOIN pg_database d ON d.datname = current_database()
WHERE c.relpersistence <> 't' AND pg_relation_filenode(c.oid)::int8 = ANY ($1::int8[])`

func (l *nameLookup) relations(ctx context.Context, s *Server, db openDatabase) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.useUTF8(ctx); err != nil {
		return err
	}
	want := map[pg.RelFileLocator]bool{}
	var files []int64
	for _, of := range []pg.OID{db.oid, 0} {
		for _, r := range l.wanted[of] {
			want[r] = true
			files = append(files, int64(r.Rel))
		}
	}
	const doing = "pg_class"
	rows, err := s.conn.Query(ctx, namesQuery, files)
	if err != nil {
		return s.statementError(ctx, doing, err)
	}
	var space, file int64
	var name string
	_, err = pgx.ForEachRow(rows, []any{&space, &file, &name}, func() error {
		r := pg.RelFileLocator{Spc: pg.OID(space), DB: db.oid, Rel: pg.RelFileNumber(file)}
		if r.Spc == pg.GlobalTablespace {
			r.DB = 0
		}
		if want[r] {
			l.names.Relations[r] = strings.ToValidUTF8(name, "?")
		}
		return nil
	})
	return s.statementError(ctx, doing, err)
}

// useUTF8 makes names that are printed readable, whatever the database's encoding. s.mu is held.
func (s *Server) useUTF8(ctx context.Context) error {
	var set string
	return s.queryRow(ctx, "client_encoding", "SELECT set_config('client_encoding', 'UTF8', false)", nil, &set)
}
