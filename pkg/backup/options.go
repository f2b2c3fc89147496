package backup

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Options is one order for a backup.
type Options struct {
	DataDir         string
	Incremental     bool
	Parent          string // "", "latest", "latest-full" or an id
	PageMap         string // one of the Map constants; "": auto
	FastCheckpoint  bool
	Jobs            int // workers; at least 1
	Compression     repo.Compression
	WAL             string // auto, archive, stream; "": auto
	VerifyChecksums string // copied, all, off; "": copied
	NoTrustMtime    bool
	PackSize        int64 // bytes at which a pack is full; 0: 256 MiB
	RateLimit       int64 // bytes per second read from the data directory; 0: none
	Annotations     map[string]string
	Version         string        // of pgincr
	ArchiveTimeout  time.Duration // how long to wait for the archive to hold the backup's WAL; 0: a minute
	Log             *slog.Logger  // nil: none
	Progress        *Progress     // may be nil
	Clock           func() time.Time

	aliveEvery time.Duration // 0: as it is
}

// Page map sources, as in Options.PageMap and in manifests.
const (
	MapAuto      = "auto"
	MapWAL       = "wal"
	MapSummaries = "summaries"
	MapLSN       = "lsn"
	MapHash      = "hash"
	MapCross     = "cross"
)

// What Options.WAL and Options.VerifyChecksums may be.
const (
	walAuto      = "auto"
	walArchive   = "archive"
	walStream    = "stream"
	verifyCopied = "copied"
	verifyAll    = "all"
	verifyOff    = "off"
)

// complete fills in the defaults and refuses what no option can be.
func (o Options) complete() (Options, error) {
	for _, c := range []struct {
		name    string
		value   *string
		allowed []string // the first is the default
	}{
		{
			"page map source", &o.PageMap,
			[]string{MapAuto, MapWAL, MapSummaries, MapLSN, MapHash, MapCross},
		},
		{"WAL mode", &o.WAL, []string{walAuto, walArchive, walStream}},
		{
			"checksum verification", &o.VerifyChecksums,
			[]string{verifyCopied, verifyAll, verifyOff},
		},
	} {
		if *c.value == "" {
			*c.value = c.allowed[0]
		}
		if !slices.Contains(c.allowed, *c.value) {
			return o, fmt.Errorf("%s %q: not one of %v", c.name, *c.value, c.allowed)
		}
	}
	if o.RateLimit < 0 {
		return o, fmt.Errorf("rate limit %d: negative", o.RateLimit)
	}
	o.Jobs = max(o.Jobs, 1)
	if o.ArchiveTimeout == 0 {
		o.ArchiveTimeout = time.Minute
	}
	if o.aliveEvery == 0 {
		o.aliveEvery = aliveEvery
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		return o, fmt.Errorf("backup options: no clock")
	}
	return o, nil
}
