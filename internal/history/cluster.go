package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Cluster is the kind of cluster that a history is of.
type Cluster struct {
	Checksums  bool
	WALSegment int // MB
	Settings   map[string]string
}

// String lists it on one line.
func (c Cluster) String() string {
	out := []string{fmt.Sprintf("checksums=%v wal_segment_size=%dMB", c.Checksums, c.WALSegment)}
	for name, value := range c.Settings {
		out = append(out, name+"="+value)
	}
	slices.Sort(out[1:])
	return strings.Join(out, " ")
}

func newCluster(rng *rand.Rand, major int) Cluster {
	c := Cluster{
		Checksums:  rng.IntN(2) == 0,
		WALSegment: pick(rng, 1, 1, 16, 16, 64),
		Settings: map[string]string{
			"shared_buffers":            pick(rng, "256kB", "512kB", "1MB", "8MB"),
			"wal_log_hints":             pick(rng, "on", "off"),
			"wal_compression":           compression(rng, major),
			"wal_level":                 pick(rng, "replica", "logical"),
			"track_commit_timestamp":    pick(rng, "on", "off", "off"),
			"max_locks_per_transaction": "256",
			// Recovery refuses them too where they are not allowed.
			"allow_in_place_tablespaces": "on",
		},
	}
	if major >= 17 && rng.IntN(4) > 0 {
		c.Settings["summarize_wal"] = "on"
	}
	if major >= 18 && rng.IntN(2) == 0 {
		c.Settings["io_method"] = "sync"
	}
	return c
}

// compression chooses among what every build of a major can do: packages without LZ4 and
// Zstandard are among them.
func compression(rng *rand.Rand, major int) string {
	if major >= 15 {
		return pick(rng, "off", "pglz", "pglz")
	}
	return pick(rng, "off", "on", "on")
}

// restartSettings are what a restart may change.
func restartSettings(rng *rand.Rand, major int) map[string]string {
	all := map[string]string{
		"wal_log_hints":          pick(rng, "on", "off"),
		"wal_compression":        compression(rng, major),
		"wal_level":              pick(rng, "replica", "logical"),
		"shared_buffers":         pick(rng, "256kB", "1MB", "16MB"),
		"track_commit_timestamp": pick(rng, "on", "off"),
	}
	names := []string{"wal_log_hints", "wal_compression", "wal_level", "shared_buffers", "track_commit_timestamp"}
	out := map[string]string{}
	for range 1 + rng.IntN(2) {
		name := names[rng.IntN(len(names))]
		out[name] = all[name]
	}
	return out
}

// pick chooses one of some values.
func pick[T any](rng *rand.Rand, values ...T) T { return values[rng.IntN(len(values))] }
