// Package gcs keeps a repository in Google Cloud Storage, by its JSON interface.
//
//	gs://BUCKET/PREFIX
//
// Credentials are Google's application default credentials: the file that GOOGLE_APPLICATION_CREDENTIALS names,
// what gcloud left, or the service account of the machine. STORAGE_EMULATOR_HOST leads to an emulator,
// without credentials, as it does for Google's own libraries.
//
// The dozen lines of each request are written out: Google's own library is 15 to 28 MB of binary.
// An object has a generation, and the condition that it has none makes a put create-only. Large ones are
// sent as a resumable upload, whose parts follow each other; packs run in parallel.
//
// Reading order: open.go, request.go, service.go, upload.go.
package gcs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/pgincr/pgincr/pkg/remote"
)

// Scheme is that of its URLs.
const Scheme = "gs"

const (
	googleEndpoint = "https://storage.googleapis.com"
	scope          = "https://www.googleapis.com/auth/devstorage.read_write"
)

// service is one bucket.
type service struct {
	url       string
	bucket    string
	endpoint  string
	emulator  bool // has no credentials
	class     string
	transport *remote.Transport

	mu     sync.Mutex
	client *http.Client // nil: credentials were not looked for yet; guarded by mu
}

// Open makes the store that a URL names. It asks nothing of the service. Mistakes in the URL are
// errors; env gives environment variables. ctx ends what is read later.
func Open(ctx context.Context, s string, env func(string) string) (*remote.Store, error) {
	u, err := remote.ParseURL(s)
	if err != nil {
		return nil, err
	}
	sv := &service{
		url: u.String(), bucket: u.Place, class: u.Take("storage-class"), transport: remote.NewTransport(),
		endpoint: googleEndpoint,
	}
	if host := env("STORAGE_EMULATOR_HOST"); host != "" {
		if !strings.Contains(host, "://") {
			host = "http://" + host
		}
		sv.endpoint, sv.emulator = strings.TrimSuffix(host, "/"), true
	}
	options := u.Options()
	if err := u.Verify(); err != nil {
		return nil, err
	}
	if at, err := url.Parse(sv.endpoint); err != nil || at.Host == "" {
		return nil, fmt.Errorf("STORAGE_EMULATOR_HOST: want HOST:PORT")
	}
	return remote.NewStore(ctx, sv, u.Prefix, options), nil
}

// http gives the client, with credentials.
func (s *service) http(ctx context.Context) (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	base := &http.Client{Transport: s.transport}
	if s.emulator {
		s.client = base
		return s.client, nil
	}
	// Tokens are fetched by the same transport, for longer than this request.
	long := context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, base)
	c, err := google.FindDefaultCredentials(long, scope)
	if err != nil {
		return nil, s.refuse(remote.NoCredentials, err)
	}
	s.client = &http.Client{Transport: &oauth2.Transport{Base: s.transport, Source: c.TokenSource}}
	return s.client, nil
}

// String gives the URL.
func (s *service) String() string { return s.url }

// Limits: objects are removed one by one, and parts follow each other.
func (s *service) Limits() remote.Limits {
	return remote.Limits{Deletes: 1, Ordered: true, Seeks: true}
}

// refuse makes an error that stays.
func (s *service) refuse(cause remote.Cause, err error) error {
	return &remote.Error{Repo: s.url, Cause: cause, Err: err}
}
