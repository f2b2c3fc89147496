package s3_test

import (
	"testing"

	"github.com/pgincr/pgincr/internal/storagetest"
	"github.com/pgincr/pgincr/pkg/remote/s3"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// TestConformance: S3 keeps every promise of a store.
func TestConformance(t *testing.T) {
	server := storagetest.NewS3(t)
	t.Setenv("AWS_ACCESS_KEY_ID", storagetest.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", storagetest.SecretKey)
	storetest.Run(t, func(t *testing.T) func() repo.Store {
		url := server.URL(server.Bucket(t), "some/where")
		return func() repo.Store {
			st, err := s3.Open(t.Context(), url, noEnv)
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
	})
}

func noEnv(string) string { return "" }
