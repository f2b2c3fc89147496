package backup

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	// All workers together read no faster than asked for, and a wait ends with its context.
	now := time.Unix(0, 0)
	l := newLimiter(1<<30, func() time.Time { return now })
	if err := l.wait(t.Context(), 1<<20); err != nil { // the first is free
		t.Fatal(err)
	}
	if want := now.Add(time.Second / 1024); !l.next.Equal(want) {
		t.Errorf("paid up to %s, want %s", l.next, want)
	}
	start := time.Now()
	if err := l.wait(t.Context(), 1<<20); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < time.Second/1024 {
		t.Errorf("waited %s", d)
	}
	now = now.Add(time.Hour) // what was not used is not saved up
	if err := l.wait(t.Context(), 1<<30); err != nil || !l.next.Equal(now.Add(time.Second)) {
		t.Errorf("%v, paid up to %s", err, l.next)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errPlanted)
	if err := l.wait(ctx, 1); !errors.Is(err, errPlanted) {
		t.Errorf("cancelled: %v", err)
	}
	var none *limiter
	if err := none.wait(ctx, 1<<30); err != nil {
		t.Errorf("no limit: %v", err)
	}
	if newLimiter(0, nil) != nil {
		t.Error("rate 0 limits")
	}
}

func TestOptions(t *testing.T) {
	// What no option can be is refused before anything happens.
	for name, change := range map[string]func(*Options){
		"page map": func(o *Options) { o.PageMap = "x" },
		"WAL":      func(o *Options) { o.WAL = "x" },
		"verify":   func(o *Options) { o.VerifyChecksums = "x" },
		"rate":     func(o *Options) { o.RateLimit = -1 },
		"clock":    func(o *Options) { o.Clock = nil },
	} {
		o := Options{Clock: time.Now}
		change(&o)
		if _, err := o.complete(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	o, err := Options{Clock: time.Now}.complete()
	if err != nil || o.PageMap != MapAuto || o.WAL != walAuto || o.VerifyChecksums != verifyCopied ||
		o.Jobs != 1 || o.Log == nil {
		t.Errorf("%+v, %v", o, err)
	}
}
