package server_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/server"
)

// locator asks the server where a relation of a database lies.
func locator(t *testing.T, c *pgtest.Cluster, db, relation string) pg.RelFileLocator {
	t.Helper()
	var r pg.RelFileLocator
	text := c.Query1In(db, fmt.Sprintf(`SELECT concat_ws(' ', coalesce(nullif(c.reltablespace, 0), d.dattablespace),
		CASE WHEN c.relisshared THEN 0 ELSE d.oid END, pg_relation_filenode(c.oid))
		FROM pg_class c, pg_database d WHERE d.datname = current_database() AND c.oid = '%s'::regclass`, relation))
	if _, err := fmt.Sscan(text, &r.Spc, &r.DB, &r.Rel); err != nil {
		t.Fatalf("%s: %q: %v", relation, text, err)
	}
	return r
}

// Relations of every kind are called what their databases call them: mapped and shared catalogs, indexes,
// relations of other tablespaces and databases, and names that need quotes or are not of ASCII.
// One that is dropped, or in a database that cannot be entered, has no name, and a role without
// any right will do.
func TestNames(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t)
		c.NewTablespace("side")
		c.Exec(`CREATE ROLE nobody LOGIN`)
		c.Exec(`ALTER ROLE postgres SET client_encoding TO 'UTF8'`) // of this test's sessions
		c.Exec(`CREATE DATABASE "other db" TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`)
		c.Exec(`CREATE DATABASE closed`)
		c.Exec(`REVOKE CONNECT ON DATABASE closed FROM public`)
		c.Exec(`CREATE TABLE t (i int PRIMARY KEY) TABLESPACE side`)
		c.Exec(`CREATE TABLE gone (i int)`)
		c.ExecIn("other db", `CREATE SCHEMA "S"`)
		c.ExecIn("other db", `CREATE TABLE "S"."größe" (i int)`)
		c.ExecIn("closed", `CREATE TABLE t (i int)`)

		want := map[pg.RelFileLocator]string{}
		for _, r := range []struct{ db, name string }{
			{"postgres", "public.t"},
			{"postgres", "public.t_pkey"},
			{"postgres", "pg_catalog.pg_class"},
			{"postgres", "pg_catalog.pg_database"},
			{"postgres", "pg_catalog.pg_depend"},
			{"other db", `"S"."größe"`},
			{"other db", "pg_catalog.pg_class"},
		} {
			want[locator(t, c, r.db, r.name)] = r.name
		}
		wanted := []pg.RelFileLocator{
			locator(t, c, "postgres", "gone"), locator(t, c, "closed", "t"),
		}
		c.Exec(`DROP TABLE gone`)
		for r := range want {
			wanted = append(wanted, r, pg.RelFileLocator{Spc: 1, DB: r.DB, Rel: r.Rel})
		}
		n, err := server.LookUpNames(t.Context(), server.Config{Host: c.SocketDir, User: "nobody"}, wanted)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, n.Relations); diff != "" {
			t.Error(diff)
		}
		if n.Databases[wanted[1].DB] != "closed" || n.Databases[wanted[0].DB] != "postgres" {
			t.Errorf("databases %v", n.Databases)
		}
		if len(n.Unread) != 1 || !strings.Contains(n.Unread["closed"], `"nobody"`) {
			t.Errorf("unread %v", n.Unread)
		}
		if n.SystemIdentifier != connect(t, config(c)).Info().SystemIdentifier {
			t.Errorf("system identifier %d", n.SystemIdentifier)
		}
	})
}

// A server that is asked for names and not there is an error.
func TestNamesWithoutServer(t *testing.T) {
	_, err := server.LookUpNames(t.Context(), server.Config{Host: t.TempDir()}, nil)
	var e *server.ConnectError
	if !errors.As(err, &e) || e.Cause != server.Unreachable {
		t.Error(err)
	}
}
