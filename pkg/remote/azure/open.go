// Package azure keeps a repository in Azure Blob Storage.
//
//	azblob://CONTAINER/PREFIX?account=NAME
//
// Credentials are AZURE_STORAGE_KEY, a shared key, or else those that Azure's own programs find: a service principal
// in the environment, a workload or managed identity, az login. Objects are block blobs; conditions on
// their ETag make puts create-only.
//
// Reading order: open.go, service.go, upload.go, errors.go.
package azure

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/pgincr/pgincr/pkg/remote"
)

// Scheme is that of its URLs.
const Scheme = "azblob"

// service is one container.
type service struct {
	url          string
	containerURL string
	account, key string // key: a shared one, or ""
	transport    *remote.Transport

	mu     sync.Mutex
	client *container.Client // nil: not made yet; guarded by mu
}

// Open makes the store that a URL names. It asks nothing of the service. Mistakes in the URL are
// errors; env gives environment variables. ctx ends what is read later.
func Open(ctx context.Context, s string, env func(string) string) (*remote.Store, error) {
	u, err := remote.ParseURL(s)
	if err != nil {
		return nil, err
	}
	sv := &service{
		url: u.String(), account: cmp.Or(u.Take("account"), env("AZURE_STORAGE_ACCOUNT")),
		key: env("AZURE_STORAGE_KEY"), transport: remote.NewTransport(),
	}
	endpoint := u.Take("endpoint")
	options := u.Options()
	if err := u.Verify(); err != nil {
		return nil, err
	}
	if sv.account == "" || strings.ContainsAny(sv.account, "/:@.") {
		return nil, fmt.Errorf("repository %s: name the storage account: account=NAME or AZURE_STORAGE_ACCOUNT", u)
	}
	if endpoint == "" {
		endpoint = "https://" + sv.account + ".blob.core.windows.net"
	}
	at, err := url.Parse(endpoint)
	if err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http" || at.User != nil || at.RawQuery != "" {
		return nil, fmt.Errorf("repository %s: endpoint: want https://HOST", u)
	}
	sv.containerURL = strings.TrimSuffix(endpoint, "/") + "/" + u.Place
	return remote.NewStore(ctx, sv, u.Prefix, options), nil
}

// container gives the client, with credentials.
func (s *service) container() (*container.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	common := azcore.ClientOptions{
		Transport: &http.Client{Transport: s.transport},
		Retry:     policy.RetryOptions{MaxRetries: -1}, // remote.Store repeats
		Telemetry: policy.TelemetryOptions{ApplicationID: "pgincr"},
	}
	options := &container.ClientOptions{ClientOptions: common}
	var err error
	if s.key != "" {
		key, keyErr := container.NewSharedKeyCredential(s.account, s.key)
		if keyErr != nil {
			return nil, s.refuse(remote.Credentials, fmt.Errorf("AZURE_STORAGE_KEY is no key")) // its text may be the key
		}
		s.client, err = container.NewClientWithSharedKeyCredential(s.containerURL, key, options)
	} else {
		token, tokenErr := azidentity.NewDefaultAzureCredential(nil)
		if tokenErr != nil {
			return nil, s.refuse(remote.NoCredentials, tokenErr)
		}
		s.client, err = container.NewClient(s.containerURL, token, options)
	}
	if err != nil {
		return nil, s.refuse(remote.Refused, err)
	}
	return s.client, nil
}

// String gives the URL.
func (s *service) String() string { return s.url }

// Limits: objects are removed one by one.
func (s *service) Limits() remote.Limits { return remote.Limits{Deletes: 1, Parts: 50_000} }

// refuse makes an error that stays.
func (s *service) refuse(cause remote.Cause, err error) error {
	return &remote.Error{Repo: s.url, Cause: cause, Err: err}
}
