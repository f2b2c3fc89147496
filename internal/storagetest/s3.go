package storagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// Credentials of the S3 server, of no other.
const (
	AccessKey = "pgincr-test"
	SecretKey = "pgincr-test-secret"
)

// S3 is a running S3 server.
type S3 struct {
	Addr    string // host:port
	root    string
	buckets atomic.Int64
}

// NewS3 starts one.
func NewS3(t testing.TB) *S3 {
	t.Helper()
	program := find(t, "versitygw")
	s := &S3{Addr: freePort(t), root: newRoot(t)}
	start(t, s.Addr, []string{"ROOT_ACCESS_KEY=" + AccessKey, "ROOT_SECRET_KEY=" + SecretKey}, program,
		"--port", s.Addr, "--quiet", "posix", s.root)
	return s
}

// Bucket makes a new bucket and gives its name.
func (s *S3) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	if err := os.Mkdir(filepath.Join(s.root, name), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// URL gives a repository in a bucket.
func (s *S3) URL(bucket, prefix string) string { return S3URL(s.Addr, bucket, prefix) }

// S3URL gives a repository in a bucket that is reached at addr.
func S3URL(addr, bucket, prefix string) string {
	return fmt.Sprintf("s3://%s/%s?endpoint=http://%s&path-style=true&region=us-east-1", bucket, prefix, addr)
}

// Env is the environment in which the server is used.
func (s *S3) Env() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + AccessKey, "AWS_SECRET_ACCESS_KEY=" + SecretKey, "AWS_EC2_METADATA_DISABLED=true",
	}
}
