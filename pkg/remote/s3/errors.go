package s3

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
)

// refuse makes an error that stays.
func (s *service) refuse(cause remote.Cause, err error) error {
	return &remote.Error{Repo: s.url, Cause: cause, Err: err}
}

// wrap makes of what the library says what a remote.Store decides on. replacing: the request was
// to replace a version.
func (s *service) wrap(err error, replacing bool) error {
	if err == nil {
		return nil
	}
	var response minio.ErrorResponse
	if !errors.As(err, &response) || response.StatusCode == 0 && response.Code == "" {
		return s.wrapNetwork(err)
	}
	text := fmt.Errorf("%s (%s, status %d)", strings.TrimRight(response.Error(), "."), response.Code, response.StatusCode)
	switch response.Code {
	case minio.NoSuchKey:
		if replacing {
			return remote.ErrChanged
		}
		return fmt.Errorf("%w: %w", repo.ErrNotFound, err)
	case minio.PreconditionFailed:
		if replacing {
			return remote.ErrChanged
		}
		return fmt.Errorf("%w: %w", repo.ErrExists, err)
	case minio.NoSuchBucket, minio.InvalidBucketName:
		return s.refuse(remote.NoSpace, text)
	case minio.AccessDenied, minio.AllAccessDisabled, "AccountProblem":
		return s.refuse(remote.Denied, text)
	case minio.InvalidAccessKeyID, minio.SignatureDoesNotMatch, "InvalidToken", "TokenRefreshRequired",
		"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "RequestTimeTooSkewed":
		return s.refuse(remote.Credentials, text)
	case "NotImplemented", minio.APINotSupported:
		return s.refuse(remote.Unfit, text)
	case "RequestTimeout", "SlowDown", "Throttling":
		return text // passes
	}
	switch status := response.StatusCode; {
	case status == http.StatusPreconditionFailed && replacing:
		return remote.ErrChanged
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", repo.ErrExists, err)
	case status == http.StatusConflict, // of requests that came at the same time
		status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500, status < 300:
		return text
	}
	return s.refuse(remote.Refused, text)
}

// wrapNetwork tells what stays from what passes.
func (s *service) wrapNetwork(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	if errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &invalid) {
		return s.refuse(remote.Untrusted, err)
	}
	return err
}
