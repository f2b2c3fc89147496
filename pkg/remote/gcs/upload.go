package gcs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
)

// upload is a resumable one: a session to which bytes are sent in order.
type upload struct {
	s       *service
	session string // URL
	key     string

	mu        sync.Mutex // one request at a time
	sum       uint32     // of the first summed bytes; guarded by mu, as what follows
	summed    int64
	uncertain bool // an answer was lost: what the service has must be asked for
}

// Begin starts one. There must be no object, now and at its end.
func (s *service) Begin(ctx context.Context, key, token string) (u remote.Upload, err error) {
	about, err := json.Marshal(object{Name: key, StorageClass: s.class, Metadata: map[string]string{tokenKey: token}})
	if err != nil {
		return nil, err
	}
	resp, err := s.send(ctx, request{
		method: http.MethodPost, url: s.uploadURL("resumable", ""), body: bytes.NewReader(about), size: int64(len(about)),
		header: map[string]string{"Content-Type": "application/json; charset=UTF-8"},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return nil, s.putError(s.answer(resp), false)
	}
	session := resp.Header.Get("Location")
	if session == "" {
		return nil, errors.New("no session in the answer")
	}
	return &upload{s: s, session: session, key: key}, nil
}

// Part sends bytes that are followed by more.
func (u *upload) Part(ctx context.Context, _ int, off int64, data []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.add(off, data)
	_, err := u.send(ctx, off, data, "*")
	return err
}

// Complete sends the rest and makes the object. Its checksum is compared before that is announced.
func (u *upload) Complete(ctx context.Context, _ int, off int64, rest []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.add(off, rest)
	made, err := u.send(ctx, off, rest, strconv.FormatInt(off+int64(len(rest)), 10))
	if err != nil {
		return u.s.putError(err, false)
	}
	if made == nil {
		return errors.New("the service waits for more than was sent")
	}
	if want := checksum(u.sum); made.CRC32C != want {
		err := fmt.Errorf("%s: stored with checksum %s, want %s", u.key, made.CRC32C, want)
		return errors.Join(u.s.refuse(remote.Refused, err), u.s.Delete(ctx, []string{u.key}))
	}
	return nil
}

// add takes new bytes into the checksum of all.
func (u *upload) add(off int64, data []byte) {
	if off == u.summed {
		u.sum = crc32.Update(u.sum, castagnoli(), data)
		u.summed += int64(len(data))
	}
}

// send sends the bytes at off that the service lacks. total is the size of the object, or * before that
// is known. The object is given when it is complete.
func (u *upload) send(ctx context.Context, off int64, data []byte, total string) (*object, error) {
	skip := int64(0)
	if u.uncertain {
		made, has, err := u.put(ctx, nil, "bytes */"+total)
		if err != nil || made != nil {
			return made, err
		}
		if has < off || has > off+int64(len(data)) {
			return nil, u.s.refuse(remote.Refused, fmt.Errorf("%s: the service has %d bytes, want %d", u.key, has, off))
		}
		if skip = has - off; skip == int64(len(data)) && total == "*" {
			u.uncertain = false
			return nil, nil //nolint:nilnil // not complete
		}
	}
	u.uncertain = true
	last := off + int64(len(data)) - 1
	what := fmt.Sprintf("bytes %d-%d/%s", off+skip, last, total)
	if skip == int64(len(data)) {
		what = "bytes */" + total
	}
	made, has, err := u.put(ctx, data[skip:], what)
	if err == nil && made == nil && has != last+1 {
		return nil, fmt.Errorf("%s: the service has taken %d bytes of %d", u.key, has, last+1)
	}
	if err == nil {
		u.uncertain = false
	}
	return made, err
}

// put does a request to the session and gives the object when it is complete, else how many bytes the service has.
func (u *upload) put(ctx context.Context, data []byte, contentRange string) (made *object, has int64, err error) {
	resp, err := u.s.send(ctx, request{
		method: http.MethodPut, url: u.session, body: bytes.NewReader(data), size: int64(len(data)),
		header: map[string]string{"Content-Range": contentRange},
	})
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated:
		made = new(object)
		return made, 0, json.NewDecoder(io.LimitReader(resp.Body, maxDocument)).Decode(made)
	case http.StatusPermanentRedirect: // "resume incomplete"
		if r := resp.Header.Get("Range"); r != "" {
			_, end, _ := strings.Cut(r, "-")
			if has, err = strconv.ParseInt(end, 10, 64); err != nil {
				return nil, 0, fmt.Errorf("answer with Range %q", r)
			}
			has++
		}
		return nil, has, nil
	}
	err = u.s.answer(resp)
	if errors.Is(err, repo.ErrNotFound) {
		err = u.s.refuse(remote.Refused, fmt.Errorf("%s: the upload is gone", u.key))
	}
	return nil, 0, err
}

// Abort ends the session.
func (u *upload) Abort(ctx context.Context) error {
	resp, err := u.s.send(ctx, request{method: http.MethodDelete, url: u.session, body: http.NoBody})
	if err != nil {
		return err
	}
	return resp.Body.Close() // 499 is success; what is left of a session ends after a week
}
