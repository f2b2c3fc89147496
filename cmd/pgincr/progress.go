package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/internal/human"
)

// snapshot gives what a long command is doing, and of its bytes how many are done and known.
type snapshot func() (phase string, done, total int64)

// How often progress is shown: on a terminal, and in a log.
const (
	barInterval  = 100 * time.Millisecond
	lineInterval = 5 * time.Second
)

// watch shows progress until stop is called, if the user wants to see it.
func (p *program) watch(ctx context.Context, s snapshot) (stop func()) {
	if !p.common.Progress {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var g errgroup.Group
	g.Go(func() error {
		if p.console.terminal && p.common.LogFormat == "text" {
			p.showBar(ctx, s)
		} else {
			p.logProgress(ctx, s, lineInterval)
		}
		return nil
	})
	return func() {
		cancel()
		_ = g.Wait() // it returns no errors
	}
}

// logProgress writes a line every few seconds.
func (p *program) logProgress(ctx context.Context, s snapshot, interval time.Duration) {
	t := time.NewTicker(interval)
	defer t.Stop()
	var m meter
	m.add(p.clock(), s)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		phase, done, total := m.add(p.clock(), s)
		args := []any{"phase", phase}
		if total > 0 {
			args = append(args, "done", human.Bytes(done), "total", human.Bytes(total),
				"percent", percentText(done, total), "rate", human.Bytes(int64(m.rate()))+"/s")
			if left, ok := m.left(done, total); ok {
				args = append(args, "left", durationText(left))
			}
		}
		p.log.Info("progress", args...)
	}
}

// showBar keeps a bar in the terminal's last line; messages go above it.
func (p *program) showBar(ctx context.Context, s snapshot) {
	var m meter
	var left, right atomic.Pointer[string] // texts beside the bar, which mpb asks for when it draws
	update := func() (done, total int64) {
		phase, done, total := m.add(p.clock(), s)
		text := fmt.Sprintf(" %s of %s  %s/s", human.Bytes(done), human.Bytes(total), human.Bytes(int64(m.rate())))
		if d, ok := m.left(done, total); ok {
			text += "  " + durationText(d) + " left"
		}
		left.Store(&phase)
		right.Store(&text)
		return done, total
	}
	update()
	shown := func(t *atomic.Pointer[string], wc ...decor.WC) decor.Decorator {
		return decor.Any(func(decor.Statistics) string { return *t.Load() }, wc...)
	}
	pr := mpb.New(mpb.WithOutput(p.console.stderr), mpb.WithAutoRefresh(),
		mpb.WithRefreshRate(barInterval), mpb.WithWidth(32))
	bar := pr.New(1, mpb.BarStyle(), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(shown(&left, decor.WCSyncSpaceR)), mpb.AppendDecorators(shown(&right)))
	p.console.redirect(pr)
	t := time.NewTicker(barInterval)
	defer t.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-t.C:
			done, total := update()
			bar.SetTotal(max(total, done+1), false) // never complete: the end of ctx removes it
			bar.SetCurrent(done)
		}
	}
	p.console.redirect(nil)
	bar.Abort(true)
	pr.Wait()
}

// meterWindow is how far back the rate looks.
const meterWindow = 20 * time.Second

// meter turns snapshots into a rate and a time left.
type meter struct{ samples []sample }

type sample struct {
	at   time.Time
	done int64
}

// add takes a snapshot; one that went back (a new phase) begins the measurement anew.
func (m *meter) add(now time.Time, s snapshot) (phase string, done, total int64) {
	phase, done, total = s()
	if n := len(m.samples); n > 0 && done < m.samples[n-1].done {
		m.samples = nil
	}
	m.samples = append(m.samples, sample{now, done})
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= meterWindow {
		m.samples = m.samples[1:]
	}
	return phase, done, total
}

// rate gives bytes per second over the window.
func (m *meter) rate() float64 {
	if len(m.samples) < 2 {
		return 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(last.done-first.done) / seconds
}

// left estimates the time to the end; ok=false while nothing moves.
func (m *meter) left(done, total int64) (time.Duration, bool) {
	r := m.rate()
	if r <= 0 || total <= done {
		return 0, false
	}
	seconds := float64(total-done) / r
	if seconds > (365 * 24 * time.Hour).Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}
