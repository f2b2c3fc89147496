package main

import (
	"context"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/pkg/server"
)

// connectionFlags are libpq's, by psql's letters. Their variables are read by pgx, whose order of
// precedence is libpq's; the tag libpq tells the configuration file which of them go before it.
type connectionFlags struct {
	DBName   string `name:"dbname" short:"d" placeholder:"CONNSTR" libpq:"PGDATABASE" help:"Database or connection string (default: postgres)."`
	Host     string `short:"h" placeholder:"HOST" libpq:"PGHOST" help:"Host or socket directory."`
	Port     string `short:"p" placeholder:"PORT" libpq:"PGPORT" help:"Port."`
	Username string `short:"U" placeholder:"ROLE" libpq:"PGUSER" help:"Role to connect as."`
}

func (c *connectionFlags) connect(ctx context.Context) (*server.Server, error) {
	return server.Connect(ctx, c.config())
}

func (c *connectionFlags) config() server.Config {
	return server.Config{ConnString: c.DBName, Host: c.Host, Port: c.Port, User: c.Username}
}

// connectionGiven says that a flag of the connection is on the command line. The configuration file names the server
// for backups; that does not make commands depend on it which only may ask it for names.
func connectionGiven(kctx *kong.Context) bool {
	for _, p := range kctx.Path {
		if p.Flag != nil && !p.Resolved && p.Flag.Group != nil && p.Flag.Group.Key == "connection" {
			return true
		}
	}
	return false
}
