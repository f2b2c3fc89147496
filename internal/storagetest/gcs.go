package storagetest

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// GCS is a running stand-in for Google Cloud Storage.
type GCS struct {
	Addr    string // host:port
	buckets atomic.Int64
}

// NewGCS starts one.
func NewGCS(t testing.TB) *GCS {
	t.Helper()
	program := find(t, "fake-gcs-server")
	s := &GCS{Addr: freePort(t)}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	start(t, s.Addr, nil, program, "-scheme", "http", "-host", host, "-port", port, "-public-host", s.Addr,
		"-external-url", "http://"+s.Addr, "-backend", "memory", "-log-level", "error")
	return s
}

// Bucket makes a new bucket and gives its name.
func (s *GCS) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	resp, err := http.Post("http://"+s.Addr+"/storage/v1/b", "application/json",
		strings.NewReader(`{"name": "`+name+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Fatalf("bucket %s: status %d", name, resp.StatusCode)
	}
	return name
}

// Env is the environment in which it is used.
func (s *GCS) Env() []string { return []string{"STORAGE_EMULATOR_HOST=" + s.Addr} }
