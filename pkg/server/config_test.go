package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// clearEnv takes away what would decide instead of the test.
func clearEnv(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "PG") {
			t.Setenv(name, "")
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("HOME", t.TempDir())
}

// Settings come from where libpq takes them, in its order, with postgres as the default database.
func TestResolve(t *testing.T) {
	clearEnv(t)
	services := filepath.Join(t.TempDir(), "services")
	if err := os.WriteFile(services, []byte("[sales]\nhost=servicehost\ndbname=servicedb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	passwords := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(passwords, []byte("h:5432:postgres:u:of postgres\nh:5432:d:u:of d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		cfg  Config
		env  string
		want string // host port user database password application
	}{
		{"flags", Config{Host: "h", Port: "5433", User: "u"}, "", "h 5433 u postgres  pgincr"},
		{"database", Config{ConnString: "it's", Host: "h", User: "u"}, "", "h 5432 u it's  pgincr"},
		{"flags go before variables", Config{Host: "h", User: "u"}, "PGHOST=env", "h 5432 u postgres  pgincr"},
		{"variables", Config{User: "u"}, "PGHOST=env PGPORT=1 PGDATABASE=e", "env 1 u e  pgincr"},
		{
			"string goes before flags",
			Config{ConnString: "host=s dbname=d", Host: "h", Port: "1", User: "u"},
			"",
			"s 1 u d  pgincr",
		},
		{"URI", Config{ConnString: "postgresql://x@s:2/d", Host: "h", Port: "1", User: "u"}, "", "s 2 x d  pgincr"},
		{
			"URI with gaps",
			Config{ConnString: "postgres://", Host: "/run/pg", Port: "1", User: "u v"},
			"",
			"/run/pg 1 u v postgres  pgincr",
		},
		{
			"URI with parameters",
			Config{ConnString: "postgres:///d?user=x&host=s", Host: "h", User: "u"},
			"",
			"s 5432 x d  pgincr",
		},
		{"several hosts", Config{ConnString: "host=s1,s2 port=1,2", User: "u"}, "", "s1 1 u postgres  pgincr"},
		{"several hosts in a URI", Config{ConnString: "postgres://u@s1:1,s2:2/d", Host: "h"}, "", "s1 1 u d  pgincr"},
		{
			"service goes before variables",
			Config{User: "u"},
			"PGSERVICE=sales PGSERVICEFILE=" + services + " PGHOST=env",
			"servicehost 5432 u servicedb  pgincr",
		},
		{
			"flags go before service",
			Config{Host: "h", User: "u"},
			"PGSERVICE=sales PGSERVICEFILE=" + services,
			"h 5432 u servicedb  pgincr",
		},
		{"password file", Config{Host: "h", User: "u"}, "PGPASSFILE=" + passwords, "h 5432 u postgres of postgres pgincr"},
		{
			"password file by database",
			Config{ConnString: "d", Host: "h", User: "u"},
			"PGPASSFILE=" + passwords,
			"h 5432 u d of d pgincr",
		},
		{"application", Config{Host: "h", User: "u"}, "PGAPPNAME=nightly", "h 5432 u postgres  nightly"},
		{"fallback name", Config{ConnString: "host=h user=u fallback_application_name=x"}, "", "h 5432 u postgres  pgincr"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for kv := range strings.FieldsSeq(tt.env) {
				k, v, _ := strings.Cut(kv, "=")
				t.Setenv(k, v)
			}
			cc, err := tt.cfg.resolve()
			if err != nil {
				t.Fatal(err)
			}
			host, port, _ := strings.Cut(label(cc), ":")
			got := strings.Join([]string{
				host, port, cc.User, cc.Database, cc.Password, cc.RuntimeParams["application_name"],
			}, " ")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if _, sent := cc.RuntimeParams["fallback_application_name"]; sent {
				t.Error("a setting of libpq's is sent to the server")
			}
		})
	}
}

// A password in a connection string that cannot be read is not told.
func TestPasswordIsNotTold(t *testing.T) {
	clearEnv(t)
	for _, s := range []string{
		"host=h password=secret port=none", "postgres://u:secret@h:none/d", "postgres://u:secret@[h/d",
		"host=h password='secret", "password=secret sslmode=never host=h",
	} {
		_, err := Config{ConnString: s}.resolve()
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", s, err)
		}
	}
}
