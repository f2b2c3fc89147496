package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// logger is slog's; messages go to stderr.
type logger = slog.Logger

// setLog makes the log that the common flags ask for.
func (p *program) setLog() {
	level := slog.LevelInfo
	if p.common.Quiet {
		level = slog.LevelWarn
	} else if p.common.Verbose {
		level = slog.LevelDebug
	}
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler
	switch {
	case p.common.LogFormat == "json":
		h = slog.NewJSONHandler(p.console, o)
	case p.console.terminal:
		h = &lineHandler{console: p.console, level: level}
	default:
		h = slog.NewTextHandler(p.console, o)
	}
	p.log = slog.New(h)
}

// printError tells the user what went wrong and what can be done about it.
func (p *program) printError(err error) {
	text, hint := oneLine(err.Error()), hintFor(err)
	if errors.Is(err, context.Canceled) {
		text = "interrupted: " + text
	}
	if p.common.LogFormat == "json" {
		args := []any{}
		if hint != "" {
			args = append(args, "hint", hint)
		}
		p.log.Error(text, args...)
		return
	}
	p.console.printf("pgincr: error: %s\n", text)
	if hint != "" {
		p.console.printf("pgincr: hint: %s\n", hint)
	}
}

// oneLine joins the lines of an error that errors.Join made of several.
func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ") }

// console is stderr with, at times, a progress bar in its last line.
type console struct {
	mu       sync.Mutex // guards writer
	writer   io.Writer  // stderr, or what writes above the bar
	stderr   io.Writer
	terminal bool
}

func newConsole(stderr io.Writer) *console {
	f, ok := stderr.(*os.File)
	return &console{
		writer: stderr, stderr: stderr,
		terminal: ok && term.IsTerminal(int(f.Fd())),
	}
}

// Write writes one message.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writer.Write(b)
}

// printf writes a message. That stderr is closed is nothing that could be told anybody.
func (c *console) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(c, format, args...)
}

// redirect sends what follows to w, or to stderr again when w is nil.
func (c *console) redirect(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w == nil {
		w = c.stderr
	}
	c.writer = w
}

// lineHandler prints messages as short lines for people.
type lineHandler struct {
	console *console
	level   slog.Level
	prefix  string // attributes of With, ready to be printed
	group   string
}

// Enabled implements slog.Handler.
func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// Handle implements slog.Handler.
func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString("pgincr: ")
	switch r.Level {
	case slog.LevelInfo:
	case slog.LevelWarn:
		b.WriteString("warning: ")
	default:
		b.WriteString(strings.ToLower(r.Level.String()) + ": ")
	}
	b.WriteString(oneLine(r.Message) + h.prefix)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(h.attr(a))
		return true
	})
	b.WriteByte('\n')
	_, err := h.console.Write([]byte(b.String()))
	return err
}

// WithAttrs implements slog.Handler.
func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	for _, a := range attrs {
		c.prefix += h.attr(a)
	}
	return &c
}

// WithGroup implements slog.Handler.
func (h *lineHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.group += name + "."
	return &c
}

func (h *lineHandler) attr(a slog.Attr) string {
	value := oneLine(a.Value.Resolve().String())
	if strings.ContainsAny(value, " \"") || value == "" {
		value = fmt.Sprintf("%q", value)
	}
	return " " + h.group + a.Key + "=" + value
}
