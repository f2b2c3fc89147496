package azure

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
)

// isInvalidRange says whether nothing lies where was to be read.
func isInvalidRange(err error) bool {
	var response *azcore.ResponseError
	return errors.As(err, &response) && response.StatusCode == http.StatusRequestedRangeNotSatisfiable
}

// wrap makes of what the library says what a remote.Store decides on. replacing: the request was
// to replace a version.
func (s *service) wrap(err error, replacing bool) error {
	if err == nil {
		return nil
	}
	var response *azcore.ResponseError
	if !errors.As(err, &response) {
		return s.wrapOther(err)
	}
	text := fmt.Errorf("%s (status %d)", response.ErrorCode, response.StatusCode)
	switch code := bloberror.Code(response.ErrorCode); {
	case code == bloberror.ContainerNotFound, code == bloberror.ContainerBeingDeleted:
		return s.refuse(remote.NoSpace, text)
	case code == bloberror.AuthenticationFailed, code == bloberror.InvalidAuthenticationInfo,
		response.StatusCode == http.StatusUnauthorized:
		return s.refuse(remote.Credentials, text)
	case response.StatusCode == http.StatusForbidden:
		return s.refuse(remote.Denied, text)
	case replacing && (response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusPreconditionFailed):
		return remote.ErrChanged
	case response.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: %w", repo.ErrNotFound, text)
	case code == bloberror.BlobAlreadyExists, response.StatusCode == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", repo.ErrExists, text)
	case response.StatusCode == http.StatusConflict, response.StatusCode == http.StatusRequestTimeout,
		response.StatusCode == http.StatusTooManyRequests, response.StatusCode >= 500:
		return text // passes
	}
	return s.refuse(remote.Refused, text)
}

// wrapOther sorts what is no answer of the service: credentials, certificates, the network.
func (s *service) wrapOther(err error) error {
	var failed *azidentity.AuthenticationFailedError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	first, _, _ := strings.Cut(err.Error(), "\n")
	switch {
	case errors.As(err, &failed):
		return s.refuse(remote.Credentials, errors.New(first))
	case strings.HasPrefix(first, "DefaultAzureCredential"):
		return s.refuse(remote.NoCredentials, errors.New(first))
	case errors.As(err, &unknown), errors.As(err, &name):
		return s.refuse(remote.Untrusted, err)
	}
	return err
}
