package server

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// Config says how to connect, as psql's options -d, -h, -p and -U do. What is
// empty comes from the service file, the PG* variables of the process and
// ~/.pgpass, all of which pgx reads by libpq's rules. A connection string wins
// over Host, Port and User, as it does in PostgreSQL's own programs. Two
// defaults differ from libpq's: the database is postgres, and the application's
// name is pgincr.
type Config struct {
	ConnString       string // a database name, URI or keyword string
	Host, Port, User string
}

// applicationName is what pg_stat_activity shows unless the user chose another.
const applicationName = "pgincr"

// cancelGrace is how long a cancelled statement has until its session is cut.
const cancelGrace = 10 * time.Second

// resolve turns the settings into those of pgx.
func (c Config) resolve() (*pgx.ConnConfig, error) {
	cc, err := pgx.ParseConfig(c.connString(""))
	if err == nil && cc.Database == "" {
		// Once more, not by assignment: ~/.pgpass is searched by database.
		cc, err = pgx.ParseConfig(c.connString("postgres"))
	}
	if err != nil {
		cause := err
		var parse *pgconn.ParseConfigError
		if errors.As(err, &parse) && errors.Unwrap(parse) != nil {
			cause = errors.Unwrap(parse)
		}
		return nil, &ConnectError{Cause: BadSettings, Err: cause}
	}
	if cc.RuntimeParams["application_name"] == "" {
		cc.RuntimeParams["application_name"] = applicationName
	}
	// libpq's fallback_application_name is not known to pgx, which would send it to the server.
	delete(cc.RuntimeParams, "fallback_application_name")
	// Unnamed statements: nothing stays in the session, and poolers in session mode do not mind.
	cc.DefaultQueryExecMode = pgx.QueryExecModeExec
	// A cancelled statement must not cost the session: backup mode is ended on it.
	cc.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: cancelGrace}
	}
	return cc, nil
}

// connString joins the settings to one string; database is used if it names none.
func (c Config) connString(database string) string {
	own := []setting{{"host", c.Host}, {"port", c.Port}, {"user", c.User}, {"dbname", database}}
	switch {
	case strings.HasPrefix(c.ConnString, "postgres://"),
		strings.HasPrefix(c.ConnString, "postgresql://"):
		return addToURI(c.ConnString, own)
	case strings.Contains(c.ConnString, "="):
		// The last of equal keywords counts.
		return keywords(own) + c.ConnString
	case c.ConnString != "":
		own[3].value = c.ConnString
	}
	return keywords(own)
}

type setting struct{ key, value string }

// keywords writes settings in libpq's keyword form, each followed by a space.
func keywords(settings []setting) string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var b strings.Builder
	for _, s := range settings {
		if s.value != "" {
			b.WriteString(s.key + "='" + quote.Replace(s.value) + "' ")
		}
	}
	return b.String()
}

// addToURI adds what a connection URI does not say itself. A URI of several
// hosts is none that net/url reads; it names hosts and ports and stays as it is.
func addToURI(uri string, settings []setting) string {
	u, err := url.Parse(uri)
	if err != nil {
		return uri
	}
	query := u.Query()
	said := map[string]bool{
		"host":   u.Host != "" || query.Has("host"),
		"port":   u.Port() != "" || query.Has("port"),
		"user":   u.User.Username() != "" || query.Has("user"),
		"dbname": strings.Trim(u.Path, "/") != "" || query.Has("dbname"),
	}
	mark := "?"
	if strings.Contains(uri, "?") {
		mark = "&"
	}
	for _, s := range settings {
		if s.value != "" && !said[s.key] {
			// libpq does not take a plus sign for a space.
			uri += mark + s.key + "=" + strings.ReplaceAll(url.QueryEscape(s.value), "+", "%20")
			mark = "&"
		}
	}
	return uri
}

// label names the server of a configuration in messages: a socket directory or host, and the port.
func label(cc *pgx.ConnConfig) string {
	return cc.Host + ":" + strconv.Itoa(int(cc.Port))
}
