package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

// kinds are the kinds of requests that providers charge differently.
const (
	get = iota
	head
	list
	put
	part
	remove
	kinds
)

var kindNames = [kinds]string{"GET", "HEAD", "LIST", "PUT", "parts", "DELETE"}

// count is what was asked.
type count struct {
	requests       [kinds]int
	sent, received int64 // bytes of bodies
	failed         int   // answers that say so, 404 and 412 among them
}

func (c count) total() (n int) {
	for _, v := range c.requests {
		n += v
	}
	return n
}

// counter is a proxy that counts.
type counter struct {
	addr string // where it listens: host:port

	mu  sync.Mutex
	now count // guarded by mu
}

// newCounter starts one before the server at upstream.
func newCounter(ctx context.Context, upstream string) (*counter, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &counter{addr: l.Addr().String()}
	proxy := &httputil.ReverseProxy{
		// The host stays as it was asked for: it is signed.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", upstream, r.In.Host
		},
		ModifyResponse: func(r *http.Response) error {
			c.note(func(n *count) {
				if r.StatusCode >= http.StatusBadRequest {
					n.failed++
				}
			})
			if r.Body != nil {
				r.Body = &countedBody{r.Body, c, func(n *count, bytes int64) { n.received += bytes }}
			}
			return nil
		},
	}
	server := &http.Server{
		BaseContext: func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			kind := kindOf(r.Method, r.URL)
			c.note(func(n *count) { n.requests[kind]++ })
			if r.Body != nil {
				r.Body = &countedBody{r.Body, c, func(n *count, bytes int64) { n.sent += bytes }}
			}
			proxy.ServeHTTP(w, r)
		}),
	}
	go func() { _ = server.Serve(l) }() // until the program ends
	return c, nil
}

// kindOf tells what a request is.
func kindOf(method string, u *url.URL) int {
	q := u.Query()
	switch {
	case method == http.MethodHead:
		return head
	case method == http.MethodGet && (q.Has("list-type") || q.Has("location") || q.Has("uploads")):
		return list
	case method == http.MethodGet:
		return get
	case method == http.MethodPut && q.Has("partNumber"):
		return part
	case method == http.MethodDelete, q.Has("delete"):
		return remove
	}
	return put // with the begin and the completion of an object in parts
}

func (c *counter) note(change func(*count)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.now)
}

// take gives what was counted since the last time.
func (c *counter) take() (taken count) {
	c.note(func(n *count) { taken, *n = *n, count{} })
	return taken
}

// countedBody counts the bytes of a body.
type countedBody struct {
	io.ReadCloser
	c   *counter
	add func(*count, int64)
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.c.note(func(c *count) { b.add(c, int64(n)) })
	return n, err
}
