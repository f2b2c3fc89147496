package storagetest

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"
)

// Proxy is a connection to a server that can be made to fail.
type Proxy struct {
	Addr string // where it listens: host:port
	t    testing.TB
	api  string
}

// NewProxy starts one before the server at upstream.
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	program := find(t, "toxiproxy")
	api := freePort(t)
	host, port, err := net.SplitHostPort(api)
	if err != nil {
		t.Fatal(err)
	}
	start(t, api, []string{"LOG_LEVEL=fatal"}, program, "-host", host, "-port", port)
	p := &Proxy{Addr: freePort(t), t: t, api: "http://" + api}
	p.post("/proxies", map[string]any{"name": "it", "listen": p.Addr, "upstream": upstream, "enabled": true})
	return p
}

// post sends a command.
func (p *Proxy) post(path string, command any) {
	p.t.Helper()
	body, err := json.Marshal(command)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.Post(p.api+path, "application/json", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode/100 != 2 {
		p.t.Fatalf("toxiproxy: %s", text)
	}
}

// Toxic makes a share of the connections fail in a way that toxiproxy knows; stream is upstream or downstream.
func (p *Proxy) Toxic(kind, stream string, share float64, attributes map[string]int) {
	p.t.Helper()
	p.post("/proxies/it/toxics", map[string]any{
		"name": kind + stream, "type": kind, "stream": stream, "toxicity": share, "attributes": attributes,
	})
}

// Cut ends all connections and takes no more.
func (p *Proxy) Cut() {
	p.t.Helper()
	p.post("/proxies/it", map[string]any{"enabled": false})
}

// Mend takes connections again.
func (p *Proxy) Mend() {
	p.t.Helper()
	p.post("/proxies/it", map[string]any{"enabled": true})
}
