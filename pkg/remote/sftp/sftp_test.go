package sftp_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/storagetest"
	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/remote/sftp"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

func noEnv(string) string { return "" }

// open opens a repository.
func open(t *testing.T, url string) *remote.Store {
	t.Helper()
	st, err := sftp.Open(t.Context(), url, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestConformance: OpenSSH's server keeps every promise of a store.
func TestConformance(t *testing.T) {
	server := storagetest.NewSFTP(t)
	storetest.Run(t, func(t *testing.T) func() repo.Store {
		url := server.URL(t.TempDir())
		st := open(t, url) // a login takes a tenth of a second: the spaces of one test share a few
		return func() repo.Store {
			return st
		}
	})
	t.Run("several hosts", func(t *testing.T) {
		root := filepath.Join(t.TempDir(), "not/there")
		url := server.URL(root)
		a, b := open(t, url), open(t, url)
		if err := errors.Join(a.CreateRoot(t.Context()), b.CreateRoot(t.Context())); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(root); err != nil || info.Mode() != fs.ModeDir|0o700 {
			t.Errorf("the root is for its user alone: %v, %v", info, err)
		}
		unlock, err := a.Lock(t.Context(), "main/locks/backup", "host a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Lock(t.Context(), "main/locks/backup", "host b"); !errors.Is(err, repo.ErrLocked) ||
			!strings.Contains(err.Error(), "host a") {
			t.Errorf("%v", err)
		}
		if err := unlock(); err != nil {
			t.Error(err)
		}
	})
}

// Who cannot prove who he is, or what is not there, ends with an error of its own.
func TestRefused(t *testing.T) {
	server := storagetest.NewSFTP(t)
	other := storagetest.NewSFTP(t)
	dir := t.TempDir()
	missing := dir + "/missing"
	for name, test := range map[string]struct {
		url   string
		cause remote.Cause
	}{
		"no such directory": {server.URL(missing), remote.NoSpace},
		"unknown host":      {strings.Replace(server.URL(dir), server.KnownHosts, other.KnownHosts, 1), remote.Untrusted},
		"no known_hosts":    {strings.Replace(server.URL(dir), server.KnownHosts, missing, 1), remote.Untrusted},
		"wrong key":         {strings.Replace(server.URL(dir), server.Identity, other.Identity, 1), remote.Credentials},
		"no key":            {strings.Replace(server.URL(dir), server.Identity, missing, 1), remote.NoCredentials},
		"another port":      {strings.Replace(server.URL(dir), server.Addr, other.Addr, 1), remote.Untrusted},
	} {
		st := open(t, test.url)
		_, listErr := st.List(t.Context(), "", true)
		_, openErr := st.Open(t.Context(), "a")
		for _, err := range []error{listErr, openErr} {
			var known *remote.Error
			if !errors.As(err, &known) || known.Cause != test.cause || !errors.Is(err, repo.ErrUnreachable) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a root was made without being asked for")
	}
}
