package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5" //nolint:gosec // a checksum that old services know
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/pgincr/pgincr/pkg/remote"
)

// tokenKey is the metadata that says whose object it is.
const tokenKey = "Pgincr-Token" //nolint:gosec // the name of a header

// What protects content on its way over TLS.
const (
	sumCRC32C = "crc32c"
	sumMD5    = "md5"
	sumNone   = "none"
)

// crcHeader carries a CRC-32C.
const crcHeader = "x-amz-checksum-crc32c"

// service is one bucket.
type service struct {
	url       string
	core      *minio.Core
	transport *remote.Transport
	bucket    string
	class     string // storage class of new objects; "": the bucket's
	sum       string
	secure    bool
}

// parseSum verifies the value of checksum.
func parseSum(s string) (string, error) {
	switch s {
	case sumCRC32C, sumMD5, sumNone:
		return s, nil
	}
	return "", fmt.Errorf("checksum=%s: want %s, %s or %s", s, sumCRC32C, sumMD5, sumNone)
}

// String gives the URL.
func (s *service) String() string { return s.url }

// Limits are those of S3.
func (s *service) Limits() remote.Limits {
	return remote.Limits{Deletes: 1000, Parts: 10_000, Seeks: true}
}

// Now is the time of the newest answer.
func (s *service) Now(context.Context) (time.Time, error) {
	if now := s.transport.Date(); !now.IsZero() {
		return now, nil
	}
	return time.Time{}, s.refuse(remote.Unfit, errors.New("its answers have no date"))
}

// ready fails when there are no credentials.
func (s *service) ready() error {
	c, err := s.core.GetCreds()
	if err != nil {
		return s.refuse(remote.NoCredentials, err)
	}
	if c.AccessKeyID == noKey || c.AccessKeyID == "" {
		return s.refuse(remote.NoCredentials, errNoCredentials)
	}
	return nil
}

// sums are the checksums of what is sent.
type sums struct{ md5, sha256, crc string }

// sumsOf computes those that are used.
func (s *service) sumsOf(data []byte) sums {
	var v sums
	if !s.secure {
		h := sha256.Sum256(data)
		v.sha256 = hex.EncodeToString(h[:])
	}
	switch s.sum {
	case sumMD5:
		h := md5.Sum(data) //nolint:gosec // see above
		v.md5 = base64.StdEncoding.EncodeToString(h[:])
	case sumCRC32C:
		b := binary.BigEndian.AppendUint32(nil, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
		v.crc = base64.StdEncoding.EncodeToString(b)
	}
	return v
}

// Put stores an object with one request.
func (s *service) Put(ctx context.Context, key string, data []byte, o remote.PutOptions) (string, error) {
	if err := s.ready(); err != nil {
		return "", err
	}
	v := s.sumsOf(data)
	opts := s.putOptions(o.Token)
	if o.Replaces == "" {
		opts.SetMatchETagExcept("*")
	} else {
		opts.SetMatchETag(o.Replaces)
	}
	if v.crc != "" {
		opts.UserMetadata[crcHeader] = v.crc
	}
	info, err := s.core.PutObject(ctx, s.bucket, key, bytes.NewReader(data), int64(len(data)), v.md5, v.sha256, opts)
	if err != nil {
		return "", s.wrap(err, o.Replaces != "")
	}
	return info.ETag, nil
}

// putOptions are those of every object.
func (s *service) putOptions(token string) minio.PutObjectOptions {
	return minio.PutObjectOptions{
		UserMetadata: map[string]string{tokenKey: token}, StorageClass: s.class, DisableContentSha256: true,
	}
}

// Get reads a range.
func (s *service) Get(ctx context.Context, key string, p []byte, off int64) (n int, size int64, err error) {
	if err := s.ready(); err != nil {
		return 0, 0, err
	}
	var opts minio.GetObjectOptions
	if err := opts.SetRange(off, off+int64(len(p))-1); err != nil {
		return 0, 0, err
	}
	body, info, header, err := s.core.GetObject(ctx, s.bucket, key, opts)
	if minio.ToErrorResponse(err).Code == minio.InvalidRange { // nothing lies there: an empty object has no ranges
		o, err := s.Stat(ctx, key)
		return 0, o.Size, err
	}
	if err != nil {
		return 0, 0, s.wrap(err, false)
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	size = info.Size
	if r := header.Get("Content-Range"); r != "" {
		if size, err = totalOf(r); err != nil {
			return 0, 0, err
		}
	} else if off > 0 {
		return 0, 0, s.refuse(remote.Unfit, errors.New("it gives no ranges"))
	}
	n, err = io.ReadFull(body, p[:max(0, min(int64(len(p)), size-off))])
	return n, size, err
}

// totalOf takes the size of the object from "bytes 0-9/100".
func totalOf(contentRange string) (int64, error) {
	_, total, _ := strings.Cut(contentRange, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("answer with Content-Range %q", contentRange)
	}
	return size, nil
}

// Stat looks at an object.
func (s *service) Stat(ctx context.Context, key string) (remote.Object, error) {
	if err := s.ready(); err != nil {
		return remote.Object{}, err
	}
	info, err := s.core.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return remote.Object{}, s.wrap(err, false)
	}
	return remote.Object{
		Key: key, Size: info.Size, Modified: info.LastModified, Version: info.ETag, Token: info.UserMetadata[tokenKey],
	}, nil
}

// listPage is how many names a request gives.
const listPage = 1000

// List gives a page of a recursive list, which goes on behind its last key. Others are whole: what is summed up is
// no place to go on from.
func (s *service) List(ctx context.Context, l remote.List) (page remote.Page, err error) {
	if err := s.ready(); err != nil {
		return page, err
	}
	opts := minio.ListObjectsOptions{Prefix: l.Prefix, Recursive: l.Recursive}
	if l.Recursive {
		opts.StartAfter = cmp.Or(l.Next, l.After)
	}
	for o := range s.core.ListObjectsIter(ctx, s.bucket, opts) {
		if o.Err != nil {
			return page, s.wrap(o.Err, false)
		}
		page.Objects = append(page.Objects, remote.Object{Key: o.Key, Size: o.Size, Modified: o.LastModified})
		if l.Recursive && len(page.Objects) == listPage {
			page.Next = o.Key
			break // no more is asked for
		}
	}
	return page, ctx.Err()
}

// Delete removes objects with one request.
func (s *service) Delete(ctx context.Context, keys []string) error {
	if err := s.ready(); err != nil {
		return err
	}
	if len(keys) == 1 {
		err := s.core.RemoveObject(ctx, s.bucket, keys[0], minio.RemoveObjectOptions{})
		return s.wrap(err, false)
	}
	objects := make(chan minio.ObjectInfo, len(keys))
	for _, key := range keys {
		objects <- minio.ObjectInfo{Key: key}
	}
	close(objects)
	var first error
	for e := range s.core.RemoveObjects(ctx, s.bucket, objects, minio.RemoveObjectsOptions{}) {
		if first == nil && minio.ToErrorResponse(e.Err).Code != minio.NoSuchKey {
			first = e.Err
		}
	}
	if first == nil {
		first = ctx.Err()
	}
	return s.wrap(first, false)
}
