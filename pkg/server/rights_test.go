package server_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/server"
)

// Each missing right is named, the statement given is the remedy, and three of them are enough.
func TestRights(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t)
		c.Exec(`CREATE ROLE "back up" LOGIN`)
		cfg := server.Config{Host: c.SocketDir, Port: "5432", User: "back up"}
		var grants []string
		for {
			s, err := server.Connect(t.Context(), cfg)
			var lacks *server.PrivilegeError
			if err == nil {
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
				break
			}
			if !errors.As(err, &lacks) || len(grants) == 3 {
				t.Fatalf("after %q: %v", grants, err)
			}
			if lacks.Role != "back up" || !strings.Contains(err.Error(), lacks.Right) {
				t.Errorf("error %v", err)
			}
			c.Exec(lacks.Grant)
			grants = append(grants, lacks.Grant)
		}
		if len(grants) != 3 {
			t.Errorf("grants %q", grants)
		}
		s := connect(t, cfg)
		if ok, reason := s.HoldWAL(t.Context()); ok || !strings.Contains(reason, "replication") {
			t.Errorf("held %v: %q", ok, reason)
		}
	})
}

// The roles of docs/privileges.md are allowed all that a backup does.
func TestDocumentedRole(t *testing.T) {
	doc, err := os.ReadFile("../../docs/privileges.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(doc), "```sql\n")
	if len(blocks) != 3 {
		t.Fatalf("%d blocks of SQL", len(blocks)-1)
	}
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		block := blocks[1]
		if install.Major < 15 {
			block = blocks[2]
		}
		statements, _, _ := strings.Cut(block, "```")
		c := install.New(t)
		c.Exec(statements)
		s := connect(t, server.Config{Host: c.SocketDir, User: "pgincr"})
		if ok, reason := s.HoldWAL(t.Context()); !ok {
			t.Errorf("WAL not held: %s", reason)
		}
		if _, err := s.StartBackup(t.Context(), "x", true); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FlushLSN(t.Context()); err != nil {
			t.Error(err)
		}
		if _, _, err := s.LastArchived(t.Context()); err != nil {
			t.Error(err)
		}
		if names, err := s.ExtensionResourceManagers(t.Context()); err != nil || len(names) > 0 {
			t.Errorf("resource managers %v of no extension, %v", names, err)
		}
		if install.Major >= 17 {
			if _, _, err := s.SummarizedLSN(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if _, _, err := s.StopBackup(t.Context()); err != nil {
			t.Error(err)
		}
		if i := s.Info(); i.DataDirectory != c.DataDir || i.Superuser {
			t.Errorf("info %+v", i)
		}
	})
}

// A right that is taken away after Connect is named, too.
func TestRightRevoked(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t)
		c.Exec(`CREATE ROLE b LOGIN SUPERUSER`)
		s := connect(t, server.Config{Host: c.SocketDir, User: "b"})
		c.Exec(`ALTER ROLE b NOSUPERUSER`)
		_, err := s.StartBackup(t.Context(), "x", true)
		var lacks *server.PrivilegeError
		if !errors.As(err, &lacks) || !strings.Contains(lacks.Right, "backup") {
			t.Errorf("start without rights: %v", err)
		}
	})
}
