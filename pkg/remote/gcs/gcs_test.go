package gcs_test

import (
	"errors"
	"testing"

	"github.com/pgincr/pgincr/internal/storagetest"
	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/remote/gcs"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// TestConformance: the JSON interface keeps every promise of a store.
func TestConformance(t *testing.T) {
	server := storagetest.NewGCS(t)
	open := func(t *testing.T, url string) *remote.Store {
		env := func(name string) string {
			return map[string]string{"STORAGE_EMULATOR_HOST": server.Addr}[name]
		}
		st, err := gcs.Open(t.Context(), url, env)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	storetest.Run(t, func(t *testing.T) func() repo.Store {
		url := "gs://" + server.Bucket(t) + "/some/where"
		return func() repo.Store { return open(t, url) }
	})
	t.Run("fit", func(t *testing.T) {
		if err := open(t, "gs://"+server.Bucket(t)+"/x").CreateRoot(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("no bucket", func(t *testing.T) {
		st := open(t, "gs://nowhere/x")
		var known *remote.Error
		for name, f := range map[string]func() error{
			"open":   func() error { _, err := st.Open(t.Context(), "a"); return err },
			"list":   func() error { _, err := st.List(t.Context(), "", true); return err },
			"create": func() error { return st.CreateRoot(t.Context()) },
		} {
			if err := f(); !errors.As(err, &known) || known.Cause != remote.NoSpace {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
