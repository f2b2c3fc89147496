package gcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
)

// maxDocument bounds what is read of an answer that is no object.
const maxDocument = 32 << 20

// object is Google's description of one.
type object struct {
	Name         string            `json:"name,omitempty"`
	Size         string            `json:"size,omitempty"`
	Generation   string            `json:"generation,omitempty"`
	Updated      string            `json:"updated,omitempty"`
	CRC32C       string            `json:"crc32c,omitempty"`
	StorageClass string            `json:"storageClass,omitempty"`
	Metadata     map[string]string `json:"metadata,omitempty"`
}

// tokenKey is the metadata that says whose object it is.
const tokenKey = "pgincr-token" //nolint:gosec // the name of a key

// request is one to the service.
type request struct {
	method string
	url    string // whole
	header map[string]string
	body   io.Reader
	size   int64
}

// objectURL is that of an object's description.
func (s *service) objectURL(key string, query url.Values) string {
	return s.endpoint + "/storage/v1/b/" + url.PathEscape(s.bucket) + "/o/" + url.PathEscape(key) + "?" + query.Encode()
}

// send does a request. The body of the answer must be closed.
func (s *service) send(ctx context.Context, r request) (*http.Response, error) {
	client, err := s.http(ctx)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, r.body)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		req.ContentLength = r.size
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	var token *oauth2.RetrieveError
	if errors.As(err, &token) && token.Response != nil && token.Response.StatusCode < 500 {
		err := fmt.Errorf("no token: status %d %s", token.Response.StatusCode, token.ErrorCode)
		return nil, s.refuse(remote.Credentials, err)
	}
	return resp, err
}

// ask does a request whose answer is a document, which it decodes into v unless that is nil.
func (s *service) ask(ctx context.Context, r request, v any) (err error) {
	resp, err := s.send(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode/100 != 2 {
		return s.answer(resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil || v == nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// answer makes an error of an answer that is none of success.
func (s *service) answer(resp *http.Response) error {
	var doc struct {
		Error struct {
			Message string `json:"message"`
			Errors  []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
		} `json:"error"`
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	text := fmt.Errorf("status %d", resp.StatusCode)
	reason := ""
	if json.Unmarshal(data, &doc) == nil && doc.Error.Message != "" {
		message, _, _ := strings.Cut(doc.Error.Message, "\n")
		text = fmt.Errorf("%s (status %d)", strings.TrimRight(message, "."), resp.StatusCode)
		if len(doc.Error.Errors) > 0 {
			reason = doc.Error.Errors[0].Reason
		}
	}
	switch status := resp.StatusCode; {
	case status == http.StatusNotFound:
		return fmt.Errorf("%w: %w", repo.ErrNotFound, text)
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", repo.ErrExists, text)
	case status == http.StatusUnauthorized:
		return s.refuse(remote.Credentials, text)
	case status == http.StatusForbidden && (strings.HasSuffix(reason, "ateLimitExceeded") || reason == "backendError"),
		status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status == http.StatusConflict,
		status >= 500:
		return text // passes
	case status == http.StatusForbidden:
		return s.refuse(remote.Denied, text)
	}
	return s.refuse(remote.Refused, text)
}
