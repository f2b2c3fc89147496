package s3

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/pgincr/pgincr/pkg/remote"
)

// upload is a multipart upload.
type upload struct {
	s   *service
	key string
	id  string

	mu    sync.Mutex
	parts map[int]minio.CompletePart // guarded by mu
}

// Begin starts one.
func (s *service) Begin(ctx context.Context, key, token string) (remote.Upload, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	opts := s.putOptions(token)
	if s.sum == sumCRC32C {
		opts.UserMetadata["x-amz-checksum-algorithm"] = "CRC32C"
	}
	id, err := s.core.NewMultipartUpload(ctx, s.bucket, key, opts)
	if err != nil {
		return nil, s.wrap(err, false)
	}
	return &upload{s: s, key: key, id: id, parts: map[int]minio.CompletePart{}}, nil
}

// Part sends one part.
func (u *upload) Part(ctx context.Context, number int, _ int64, data []byte) error {
	v := u.s.sumsOf(data)
	opts := minio.PutObjectPartOptions{
		Md5Base64: v.md5, Sha256Hex: v.sha256, DisableContentSha256: true, CustomHeader: http.Header{},
	}
	if v.crc != "" {
		opts.CustomHeader.Set(crcHeader, v.crc)
	}
	part, err := u.s.core.PutObjectPart(ctx, u.s.bucket, u.key, u.id, number,
		bytes.NewReader(data), int64(len(data)), opts)
	if err != nil {
		return u.s.wrap(err, false)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts[number] = minio.CompletePart{PartNumber: number, ETag: part.ETag, ChecksumCRC32C: v.crc}
	return nil
}

// Complete makes the object if there is none.
func (u *upload) Complete(ctx context.Context, number int, off int64, rest []byte) error {
	if len(rest) > 0 {
		if err := u.Part(ctx, number, off, rest); err != nil {
			return err
		}
	}
	u.mu.Lock()
	parts := make([]minio.CompletePart, 0, len(u.parts))
	for _, p := range u.parts {
		parts = append(parts, p)
	}
	u.mu.Unlock()
	slices.SortFunc(parts, func(a, b minio.CompletePart) int { return a.PartNumber - b.PartNumber })
	var opts minio.PutObjectOptions
	opts.SetMatchETagExcept("*")
	_, err := u.s.core.CompleteMultipartUpload(ctx, u.s.bucket, u.key, u.id, parts, opts)
	return u.s.wrap(err, false)
}

// Abort drops the parts.
func (u *upload) Abort(ctx context.Context) error {
	err := u.s.core.AbortMultipartUpload(ctx, u.s.bucket, u.key, u.id)
	if minio.ToErrorResponse(err).Code == minio.NoSuchUpload {
		return nil
	}
	return u.s.wrap(err, false)
}
