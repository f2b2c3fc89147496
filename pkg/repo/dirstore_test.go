package repo_test

import (
	"testing"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// A directory keeps every promise of a store.
func TestDirectoryConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() repo.Store {
		dir := t.TempDir()
		return func() repo.Store {
			st, err := repo.OpenStore(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
	})
}
