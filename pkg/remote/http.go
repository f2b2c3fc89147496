package remote

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Transport is how services that speak HTTP are reached: with limits of time for everything, so that a
// connection that is dead is noticed, and with a look at the clock of who answers.
type Transport struct {
	base *http.Transport

	mu   sync.Mutex
	date time.Time // of the newest answer; guarded by mu
}

// Limits of time of one connection. stall is the longest that no byte goes either way while something
// is expected.
const (
	dialPatience = 10 * time.Second
	stall        = time.Minute
)

// NewTransport makes one, which takes a proxy from the environment as programs do.
func NewTransport() *Transport {
	return &Transport{base: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           Dial,
		TLSHandshakeTimeout:   dialPatience,
		ResponseHeaderTimeout: stall,
		IdleConnTimeout:       stall / 2,
		MaxIdleConnsPerHost:   64,
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}}
}

// Dial connects. The connection ends when no byte went either way for a minute while one was to.
func Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dialPatience, KeepAlive: 15 * time.Second}
	c, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &impatientConn{c}, nil
}

// RoundTrip does a request.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.date = date // also an older one: a proxy on the way may have said anything
	}
	return resp, nil
}

// Date is the service's time in its newest answer, zero before there was one.
func (t *Transport) Date() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.date
}

// impatientConn ends when no byte goes either way for too long.
type impatientConn struct{ net.Conn }

func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.extend(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *impatientConn) Write(p []byte) (int, error) {
	if err := c.extend(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// extend moves the deadline, also that of the other direction: an answer is waited for from before its request
// is sent, which may take long.
func (c *impatientConn) extend() error {
	return c.SetDeadline(time.Now().Add(stall)) //nolint:forbidigo // a deadline of the kernel's, which no test sets
}
