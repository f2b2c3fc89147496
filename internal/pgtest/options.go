package pgtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Option is one wish for a cluster.
type Option func(*options)

type options struct {
	checksums  bool
	walSegment int // MB
	settings   map[string]string
	conf       []string
	stopped    bool
}

// Checksums switches data checksums on or off. They are on by default, on every
// major.
func Checksums(on bool) Option { return func(o *options) { o.checksums = on } }

// WALSegmentSize sets the size of WAL segments in MB, a power of two up to
// 1024; by default they have 16.
func WALSegmentSize(mb int) Option { return func(o *options) { o.walSegment = mb } }

// Setting sets a parameter: Setting("wal_level", "logical").
func Setting(name, value string) Option {
	return func(o *options) { o.settings[name] = value }
}

// Conf adds lines to postgresql.conf as they are. An adopted directory's file
// is not edited: there it is not allowed.
func Conf(lines ...string) Option {
	return func(o *options) { o.conf = append(o.conf, lines...) }
}

// NotStarted leaves the new cluster stopped.
func NotStarted() Option { return func(o *options) { o.stopped = true } }

func collect(opts []Option) options {
	o := options{checksums: true, walSegment: 16, settings: map[string]string{}}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// testSettings are what every new cluster gets; see the package comment.
func testSettings() map[string]string {
	return map[string]string{
		"autovacuum":                "off",
		"checkpoint_timeout":        "1h",
		"fsync":                     "off",
		"jit":                       "off",
		"log_checkpoints":           "on",
		"log_line_prefix":           "%m [%p] %b ",
		"max_prepared_transactions": "10",
		"shared_buffers":            "32MB",
	}
}

// confLines renders settings for postgresql.conf.
func confLines(settings map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	return b.String()
}

// commandLine renders settings for postgres itself, where they override every
// file.
func commandLine(settings map[string]string) []string {
	var args []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}
