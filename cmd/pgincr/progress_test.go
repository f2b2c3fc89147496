package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Without a terminal progress is one line every few seconds, with rate and time left.
func TestLogProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgram(nil, &out)
		begin := time.Now()
		s := func() (string, int64, int64) {
			return "copy", int64(time.Since(begin).Seconds()) << 20, 100 << 20
		}
		ctx, cancel := context.WithTimeout(t.Context(), 21*time.Second)
		defer cancel()
		p.logProgress(ctx, s, lineInterval)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 4 {
			t.Fatalf("%d lines:\n%s", len(lines), out.String())
		}
		for _, want := range []string{
			"msg=progress", "phase=copy", `done="20 MB"`, `total="100 MB"`, `percent="20 %"`,
			`rate="1 MB/s"`, "left=1m20s",
		} {
			if !strings.Contains(lines[3], want) {
				t.Errorf("no %s in %s", want, lines[3])
			}
		}
	})
}

// The bar goes when the work ends, and messages meanwhile are not lost.
func TestBar(t *testing.T) {
	var out bytes.Buffer
	p := newProgram(nil, &out)
	p.console.terminal = true
	p.common.Progress, p.common.LogFormat = true, "text"
	p.setLog()
	stop := p.watch(t.Context(), func() (string, int64, int64) { return "copy", 5 << 20, 10 << 20 })
	p.log.Warn("something", "path", "a b")
	stop()
	p.log.Info("after")
	got := out.String()
	if !strings.Contains(got, "pgincr: warning: something path=\"a b\"\n") || !strings.HasSuffix(got, "pgincr: after\n") {
		t.Errorf("%q", got)
	}
}

// A rate is that of the last seconds; a phase that begins anew does not make it negative.
func TestMeter(t *testing.T) {
	var m meter
	at := time.Unix(0, 0)
	add := func(seconds, done int64) {
		at = at.Add(time.Duration(seconds) * time.Second)
		m.add(at, func() (string, int64, int64) { return "", done, 1000 })
	}
	if _, ok := m.left(0, 10); ok || m.rate() != 0 {
		t.Error("a rate of nothing")
	}
	add(0, 0)
	add(10, 100)
	if m.rate() != 10 {
		t.Errorf("rate %v", m.rate())
	}
	for range 30 {
		add(1, 100)
	}
	if m.rate() != 0 {
		t.Errorf("rate %v after standing still", m.rate())
	}
	add(1, 50)
	if m.rate() < 0 {
		t.Errorf("rate %v", m.rate())
	}
	add(1, 60)
	if left, ok := m.left(60, 100); !ok || left != 4*time.Second {
		t.Errorf("left %v, %v", left, ok)
	}
	if _, ok := m.left(100, 100); ok {
		t.Error("time left when done")
	}
}

// Messages on a terminal are short lines, whatever is in them.
func TestLineHandler(t *testing.T) {
	var out bytes.Buffer
	p := newProgram(nil, &out)
	p.console.terminal = true
	for _, tt := range []struct {
		quiet, verbose bool
		want           string
	}{
		{false, false, "pgincr: two; lines g.a=1 g.b=\"\"\npgincr: warning: w\n"},
		{true, false, "pgincr: warning: w\n"},
		{false, true, "pgincr: debug: d\npgincr: two; lines g.a=1 g.b=\"\"\npgincr: warning: w\n"},
	} {
		out.Reset()
		p.common.Quiet, p.common.Verbose = tt.quiet, tt.verbose
		p.setLog()
		p.log.Debug("d")
		p.log.WithGroup("g").With("a", 1).Info("two\nlines", slog.String("b", ""))
		p.log.Warn("w")
		if out.String() != tt.want {
			t.Errorf("%q, want %q", out.String(), tt.want)
		}
	}
}
