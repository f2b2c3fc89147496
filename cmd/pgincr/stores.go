package main

import (
	"context"
	"os"
	"strings"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/remote/azure"
	"github.com/pgincr/pgincr/pkg/remote/gcs"
	"github.com/pgincr/pgincr/pkg/remote/s3"
	"github.com/pgincr/pgincr/pkg/remote/sftp"
	"github.com/pgincr/pgincr/pkg/repo"
)

// storeOpener makes the store that a URL of its scheme names.
type storeOpener func(ctx context.Context, url string, env func(string) string) (*remote.Store, error)

// storeOpeners are those of repositories that are reached over a network.
func storeOpeners() map[string]storeOpener {
	return map[string]storeOpener{
		azure.Scheme: azure.Open, gcs.Scheme: gcs.Open, s3.Scheme: s3.Open, sftp.Scheme: sftp.Open,
	}
}

// openURL opens a repository by the scheme of its URL. A path has none.
func openURL(ctx context.Context, url string) (repo.Store, error) {
	scheme, _, ok := strings.Cut(url, "://")
	open, known := storeOpeners()[scheme]
	if !ok || !known {
		return repo.OpenStore(ctx, url)
	}
	st, err := open(ctx, url, os.Getenv)
	if err != nil {
		return nil, err
	}
	return st, nil
}
