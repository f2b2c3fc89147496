package server_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/server"
)

// Each way of not getting a session has its cause.
func TestConnectErrors(t *testing.T) {
	c := pgtest.Newest(t).New(t, pgtest.Setting("wal_level", "minimal"), pgtest.Setting("max_wal_senders", "0"))
	for _, tt := range []struct {
		name  string
		cfg   server.Config
		cause server.ConnectCause
		text  string
	}{
		{"socket", server.Config{Host: t.TempDir()}, server.Unreachable, "no such file"},
		{"port", server.Config{Host: "127.0.0.1", Port: "1"}, server.Unreachable, "refused"},
		{"role", server.Config{Host: c.SocketDir, User: "nobody there"}, server.Authentication, "nobody there"},
		{"database", server.Config{ConnString: "nowhere", Host: c.SocketDir, User: "postgres"}, server.Refused, "nowhere"},
		{"string", server.Config{ConnString: "host"}, server.Refused, "host"},
		{"keyword", server.Config{ConnString: "sslmode=never host=localhost"}, server.BadSettings, "sslmode"},
		{"port number", server.Config{Port: "none"}, server.BadSettings, "port"},
		{"service", server.Config{ConnString: "service=nowhere"}, server.BadSettings, "service"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "string" {
				tt.cfg.Host, tt.cfg.User = c.SocketDir, "postgres" // a bare word is a database
			}
			_, err := server.Connect(t.Context(), tt.cfg)
			var e *server.ConnectError
			if !errors.As(err, &e) || e.Cause != tt.cause || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v (%+v)", err, e)
			}
		})
	}
	t.Run("wal_level", func(t *testing.T) {
		_, err := server.Connect(t.Context(), config(c))
		var e *server.WALLevelError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), "minimal") {
			t.Error(err)
		}
	})
}
