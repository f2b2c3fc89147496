// Package s3 keeps a repository in S3, or in what speaks its protocol.
//
//	s3://BUCKET/PREFIX?endpoint=URL&region=NAME&path-style=true&storage-class=NAME&checksum=crc32c
//
// Credentials come from where AWS's own programs find them: the environment, the shared
// credentials file, and the role of the instance, container or service account. Requests over plain HTTP
// are signed with their content, over TLS their content is checked by a CRC-32C that the service compares.
//
// A service must carry out conditional puts (If-None-Match and If-Match); `pgincr init` makes sure.
//
// Reading order: open.go, service.go, upload.go, errors.go.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/pgincr/pgincr/pkg/remote"
)

// Scheme is that of its URLs.
const Scheme = "s3"

// awsEndpoint is where S3 itself is.
const awsEndpoint = "https://s3.amazonaws.com"

// metadataPatience bounds the search for credentials where there is no service that knows any.
const metadataPatience = 3 * time.Second

// Open makes the store that a URL names. It asks nothing of the service. Mistakes in the URL are
// errors; env gives environment variables. ctx ends what is read later.
func Open(ctx context.Context, s string, env func(string) string) (*remote.Store, error) {
	u, err := remote.ParseURL(s)
	if err != nil {
		return nil, err
	}
	sv := &service{url: u.String(), bucket: u.Place, class: u.Take("storage-class"), transport: remote.NewTransport()}
	endpoint := cmp.Or(u.Take("endpoint"), env("AWS_ENDPOINT_URL_S3"), env("AWS_ENDPOINT_URL"), awsEndpoint)
	region := cmp.Or(u.Take("region"), env("AWS_REGION"), env("AWS_DEFAULT_REGION"))
	lookup := minio.BucketLookupAuto
	if u.Bool("path-style") {
		lookup = minio.BucketLookupPath
	}
	checksum := cmp.Or(u.Take("checksum"), sumCRC32C)
	options := u.Options()
	if err := u.Verify(); err != nil {
		return nil, err
	}
	if sv.sum, err = parseSum(checksum); err != nil {
		return nil, fmt.Errorf("repository %s: %w", u, err)
	}
	at, err := url.Parse(endpoint)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || strings.Trim(at.Path, "/") != "" ||
		at.User != nil || at.RawQuery != "" {
		return nil, fmt.Errorf("repository %s: endpoint: want https://HOST or http://HOST:PORT", u)
	}
	sv.secure = at.Scheme == "https"
	if region == "" && endpoint != awsEndpoint {
		region = "us-east-1" // what those who have no regions expect
	}
	core, err := minio.NewCore(at.Host, &minio.Options{
		Creds: chain(env), Secure: sv.secure, Transport: sv.transport, Region: region, BucketLookup: lookup, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("repository %s: %w", u, err)
	}
	core.SetAppInfo("pgincr", "1")
	sv.core = core
	return remote.NewStore(ctx, sv, u.Prefix, options), nil
}

// chain looks for credentials where AWS's own programs do.
func chain(env func(string) string) *credentials.Credentials {
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.FileAWSCredentials{Profile: env("AWS_PROFILE")},
		&credentials.IAM{
			Client: &http.Client{Timeout: metadataPatience},
			Region: cmp.Or(env("AWS_REGION"), env("AWS_DEFAULT_REGION")),
		},
		missing{},
	})
}

// errNoCredentials is what the end of the chain says.
var errNoCredentials = errors.New("not in the environment, the shared credentials file or the instance's role")

// missing ends the chain: without it, requests would be sent unsigned.
type missing struct{}

// RetrieveWithCredContext gives a signature that service.ready refuses.
func (missing) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return credentials.Value{AccessKeyID: noKey, SecretAccessKey: noKey}, nil
}

// Retrieve does the same.
func (missing) Retrieve() (credentials.Value, error) {
	return credentials.Value{AccessKeyID: noKey, SecretAccessKey: noKey}, nil
}

// IsExpired makes the chain be asked again the next time.
func (missing) IsExpired() bool { return true }

// noKey stands for no credentials.
const noKey = "none"
