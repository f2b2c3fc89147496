package s3_test

import (
	"testing"

	"github.com/pgincr/pgincr/internal/storagetest"
	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/remote/s3"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// newServer starts a server, whose credentials the test has.
func newServer(t *testing.T) *storagetest.S3 {
	t.Helper()
	server := storagetest.NewS3(t)
	t.Setenv("AWS_ACCESS_KEY_ID", storagetest.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", storagetest.SecretKey)
	return server
}

// open opens a repository.
func open(t *testing.T, url string) *remote.Store {
	t.Helper()
	st, err := s3.Open(t.Context(), url, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestConformance: S3 keeps every promise of a store.
func TestConformance(t *testing.T) {
	server := newServer(t)
	storetest.Run(t, func(t *testing.T) func() repo.Store {
		url := server.URL(server.Bucket(t), "some/where")
		return func() repo.Store { return open(t, url) }
	})
}
