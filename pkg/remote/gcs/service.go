package gcs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Now is the time of the newest answer.
func (s *service) Now(context.Context) (time.Time, error) {
	if now := s.transport.Date(); !now.IsZero() {
		return now, nil
	}
	return time.Time{}, s.refuse(remote.Unfit, errors.New("its answers have no date"))
}

// uploadURL is where objects are sent to. generation: what must be there, 0 for nothing.
func (s *service) uploadURL(kind, generation string) string {
	q := url.Values{"uploadType": {kind}, "ifGenerationMatch": {cmp.Or(generation, "0")}}
	return s.endpoint + "/upload/storage/v1/b/" + url.PathEscape(s.bucket) + "/o?" + q.Encode()
}

// checksum is a CRC-32C as Google writes it.
func checksum(sum uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

// castagnoli is the table of CRC-32C.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// Put stores an object with one request, which carries a checksum that the service compares.
func (s *service) Put(ctx context.Context, key string, data []byte, o remote.PutOptions) (string, error) {
	about, err := json.Marshal(object{
		Name: key, CRC32C: checksum(crc32.Checksum(data, castagnoli())), StorageClass: s.class,
		Metadata: map[string]string{tokenKey: o.Token},
	})
	if err != nil {
		return "", err
	}
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/json; charset=UTF-8"}})
	if err == nil {
		_, err = part.Write(about)
	}
	if err == nil {
		_, err = w.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/octet-stream"}})
	}
	if err != nil {
		return "", err
	}
	tail := "\r\n--" + w.Boundary() + "--\r\n"
	var made object
	err = s.ask(ctx, request{
		method: http.MethodPost, url: s.uploadURL("multipart", o.Replaces),
		header: map[string]string{"Content-Type": "multipart/related; boundary=" + w.Boundary()},
		body:   io.MultiReader(bytes.NewReader(head.Bytes()), bytes.NewReader(data), strings.NewReader(tail)),
		size:   int64(head.Len() + len(data) + len(tail)),
	}, &made)
	return made.Generation, s.putError(err, o.Replaces != "")
}

// putError tells what a failed put found. What is not found is the bucket, or what was to be replaced.
func (s *service) putError(err error, replacing bool) error {
	switch {
	case replacing && (errors.Is(err, repo.ErrExists) || errors.Is(err, repo.ErrNotFound)):
		return remote.ErrChanged
	case errors.Is(err, repo.ErrNotFound):
		return s.refuse(remote.NoSpace, errors.New("no such bucket"))
	}
	return err
}

// Get reads a range.
func (s *service) Get(ctx context.Context, key string, p []byte, off int64) (n int, size int64, err error) {
	resp, err := s.send(ctx, request{
		method: http.MethodGet, url: s.objectURL(key, url.Values{"alt": {"media"}}),
		header: map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1)},
	})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	switch resp.StatusCode {
	case http.StatusRequestedRangeNotSatisfiable: // nothing lies there: an empty object has no ranges
		o, err := s.Stat(ctx, key)
		return 0, o.Size, err
	case http.StatusPartialContent:
		_, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
		if size, err = strconv.ParseInt(total, 10, 64); err != nil || size < 0 {
			return 0, 0, fmt.Errorf("answer with Content-Range %q", resp.Header.Get("Content-Range"))
		}
	case http.StatusOK:
		if size = resp.ContentLength; off > 0 || size < 0 {
			return 0, 0, s.refuse(remote.Unfit, errors.New("it gives no ranges"))
		}
	default:
		return 0, 0, s.answer(resp)
	}
	n, err = io.ReadFull(resp.Body, p[:max(0, min(int64(len(p)), size-off))])
	return n, size, err
}

// Stat looks at an object.
func (s *service) Stat(ctx context.Context, key string) (remote.Object, error) {
	var o object
	err := s.ask(ctx, request{method: http.MethodGet, url: s.objectURL(key, nil)}, &o)
	if err != nil {
		return remote.Object{}, err
	}
	return o.remote()
}

// remote is what a store wants to know of an object.
func (o *object) remote() (remote.Object, error) {
	size, err := strconv.ParseInt(o.Size, 10, 64)
	if err != nil || size < 0 {
		return remote.Object{}, fmt.Errorf("%s: answer with size %q", o.Name, o.Size)
	}
	updated, err := time.Parse(time.RFC3339Nano, o.Updated)
	if err != nil {
		return remote.Object{}, fmt.Errorf("%s: answer with time %q", o.Name, o.Updated)
	}
	return remote.Object{
		Key: o.Name, Size: size, Modified: updated, Version: o.Generation, Token: o.Metadata[tokenKey],
	}, nil
}

// List asks for a thousand.
func (s *service) List(ctx context.Context, l remote.List) (found remote.Page, err error) {
	q := url.Values{
		"prefix": {l.Prefix}, "maxResults": {"1000"},
		"fields": {"nextPageToken,prefixes,items(name,size,updated)"},
	}
	if !l.Recursive {
		q.Set("delimiter", "/")
	}
	if l.Recursive && l.After != "" {
		q.Set("startOffset", l.After)
	}
	if l.Next != "" {
		q.Set("pageToken", l.Next)
	}
	var page struct {
		NextPageToken string   `json:"nextPageToken"`
		Prefixes      []string `json:"prefixes"`
		Items         []object `json:"items"`
	}
	at := s.endpoint + "/storage/v1/b/" + url.PathEscape(s.bucket) + "/o?" + q.Encode()
	err = s.ask(ctx, request{method: http.MethodGet, url: at}, &page)
	if errors.Is(err, repo.ErrNotFound) {
		return found, s.refuse(remote.NoSpace, errors.New("no such bucket"))
	}
	if err != nil {
		return found, err
	}
	for _, dir := range page.Prefixes {
		found.Objects = append(found.Objects, remote.Object{Key: dir})
	}
	for _, item := range page.Items {
		o, err := item.remote()
		if err != nil {
			return found, err
		}
		found.Objects = append(found.Objects, o)
	}
	found.Next = page.NextPageToken
	return found, nil
}

// Delete removes an object.
func (s *service) Delete(ctx context.Context, keys []string) error {
	var missing error
	for _, key := range keys {
		err := s.ask(ctx, request{method: http.MethodDelete, url: s.objectURL(key, nil)}, nil)
		switch {
		case errors.Is(err, repo.ErrNotFound):
			missing = err
		case err != nil:
			return err
		}
	}
	return missing
}
