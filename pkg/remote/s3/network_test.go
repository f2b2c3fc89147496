package s3_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/storagetest"
	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// The contract holds over a network that delays, throttles and cuts connections at random places, in
// both directions; when it is down, everything ends within its timeout.
func TestBadNetwork(t *testing.T) {
	server := newServer(t)
	proxy := storagetest.NewProxy(t, server.Addr)
	proxy.Toxic("latency", "downstream", 1, map[string]int{"latency": 1, "jitter": 1})
	proxy.Toxic("limit_data", "upstream", 0.3, map[string]int{"bytes": 2_000_000})
	proxy.Toxic("limit_data", "downstream", 0.3, map[string]int{"bytes": 50_000})
	proxy.Toxic("bandwidth", "upstream", 0.2, map[string]int{"rate": 20_000})
	storetest.Run(t, func(t *testing.T) func() repo.Store {
		url := storagetest.S3URL(proxy.Addr, server.Bucket(t), "some/where")
		return func() repo.Store { return open(t, url) }
	})
	bucket := server.Bucket(t)
	st := open(t, storagetest.S3URL(proxy.Addr, bucket, "x")+"&timeout=2s")
	w, err := st.Create(t.Context(), "a")
	if err == nil {
		err = w.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	proxy.Cut()
	begin := time.Now()
	_, err = st.Open(t.Context(), "b")
	var known *remote.Error
	if !errors.As(err, &known) || known.Cause != remote.Unreachable || errors.Is(err, repo.ErrNotFound) {
		t.Errorf("an outage: %v", err)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("it ended after %v", d)
	}
}
