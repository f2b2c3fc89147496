package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/pgincr/pgincr/pkg/check"
)

// Numbers of several repositories have several names, without what would end a name.
func TestNagiosOfSeveral(t *testing.T) {
	var out bytes.Buffer
	p := newProgram(&out, os.Stderr)
	d := &checkDocument{Cluster: "main", Status: check.Critical}
	d.Checks = []check.Finding{{
		Name: "chain", Status: check.Critical, Message: "long", Repo: "/it's=a",
		Metrics: []check.Metric{{Name: "chain", Value: 7, Limit: 5}},
	}}
	must(t, p.printNagios(d))
	const want = "PGINCR CRITICAL - main: chain (/it's=a): long | 'chain /it_s_a'=7;;5\n"
	if out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
}
