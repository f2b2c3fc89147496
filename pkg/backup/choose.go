package backup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/pkg/pagescan"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
	"github.com/pgincr/pgincr/pkg/wal"
)

// chosen is the source of an incremental backup's changed blocks.
type chosen struct {
	source  source
	compare *scanSource  // for forks other than main
	mapped  *mapSource   // what can be proved wrong while pages are read; nil: nothing
	cross   *crossSource // source, when it is one
	scan    *scanSource  // source, or a part of it; nil: none
	result  repo.PageMapResult
}

// chooser has what the choice depends on.
type chooser struct {
	position
	parent    *repo.Manifest
	line      line // of the parent
	lineTried bool // whether the archive was asked about it
	info      server.Info
	session   Session
	archive   wal.Archive
	jobs      int
	trust     bool
	now       time.Time
	limit     *pace.Limiter
	unknown   bool   // whether WAL has a change of relations that is not known
	wrong     string // how the map was wrong that auto chose before; "": none was
}

// SourceError: the page map source that was asked for is not complete.
type SourceError struct {
	Source string
	Reason string
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("page map source %s: %s", e.Source, e.Reason)
}

// choose takes what was named, or for auto the cheapest source that is complete. Sources that
// auto had to pass over are told with the reason.
func (c *chooser) choose(ctx context.Context, name string) (*chosen, error) {
	out := &chosen{compare: c.scanner(true)}
	switch name {
	case MapAuto:
		return c.auto(ctx, out)
	case MapWAL, MapSummaries, MapCross:
		m, why, err := c.pageMap(ctx, name)
		if err != nil {
			return nil, err
		}
		if m == nil {
			return nil, &SourceError{Source: name, Reason: why}
		}
		out.useMap(m, name)
		if name == MapCross {
			scan := c.scanner(false)
			out.cross = &crossSource{
				m: m, scan: scan, since: c.parent.StartLSN, start: c.start,
				blockSize: c.control.Geometry.BlockSize,
			}
			out.source, out.scan, out.mapped = out.cross, scan, nil
		}
		return out, nil
	}
	if name == MapLSN {
		return out, c.fallBack(ctx, out, nil)
	}
	c.useScan(out, true, "")
	return out, nil
}

func (c *chooser) auto(ctx context.Context, out *chosen) (*chosen, error) {
	if c.wrong != "" {
		return out, c.fallBack(ctx, out, []string{c.wrong})
	}
	var reasons []string
	for _, name := range []string{MapWAL, MapSummaries} {
		m, why, err := c.pageMap(ctx, name)
		if err != nil {
			return nil, err
		}
		if m != nil {
			out.useMap(m, name)
			out.result.FallbackReason = strings.Join(reasons, "; ")
			return out, nil
		}
		reasons = append(reasons, name+": "+why)
		if c.checksumsChanged() != "" || c.unknown {
			break // the same holds for every map
		}
	}
	return out, c.fallBack(ctx, out, reasons)
}

// fallBack takes the page scan, after maps that were passed over for the reasons. LSNs tell what changed only on
// the line of the parent, and by records that are known; hashes tell it always.
func (c *chooser) fallBack(ctx context.Context, out *chosen, reasons []string) error {
	why := ""
	if c.unknown {
		c.useScan(out, true, strings.Join(reasons, "; "))
		return nil
	}
	if c.checksumsChanged() == "" {
		var err error
		if why, err = c.onLine(ctx); err != nil {
			return err
		}
		if why != "" {
			reasons = append(reasons, MapLSN+": "+why)
		}
	}
	c.useScan(out, why != "", strings.Join(reasons, "; "))
	return nil
}

func (out *chosen) useMap(m *mapSource, name string) {
	out.source, out.mapped = m, m
	out.result.Source = name
}

// useScan takes the page scan, by LSN where that can tell, else by the hashes of all pages.
func (c *chooser) useScan(out *chosen, byHash bool, reason string) {
	out.result = repo.PageMapResult{Source: MapLSN, FallbackReason: reason}
	if why := c.checksumsChanged(); why != "" && !byHash {
		byHash = true
		if reason == "" {
			out.result.FallbackReason = MapLSN + ": " + why
		}
	}
	if byHash {
		out.result.Source = MapHash
	}
	out.scan = c.scanner(byHash)
	out.source = out.scan
}

// checksumsChanged says why neither WAL nor page LSNs tell what changed since the parent, or "".
func (c *chooser) checksumsChanged() string {
	if c.parent.ChecksumVersion == c.control.ChecksumVersion {
		return ""
	}
	return fmt.Sprintf("data checksums were switched since the parent (version %d, now %d), "+
		"which rewrites pages without a trace in WAL or page LSNs (hazard L22)",
		c.parent.ChecksumVersion, c.control.ChecksumVersion)
}

// scanner makes a page scan.
func (c *chooser) scanner(byHash bool) *scanSource {
	return &scanSource{
		rules: pagescan.Rules{
			BlockSize: c.control.Geometry.BlockSize, Since: c.parent.StartLSN,
			SegmentSize: c.control.Geometry.WALSegmentSize,
			HashAll:     byHash, CheckFlags: !c.flagsLogged(),
		},
		trust: c.trust, now: c.now, parentStarted: c.parent.StartedAt, limit: c.limit,
	}
}

// flagsLogged says that since the parent's start every setting of PD_ALL_VISIBLE gave the page a
// new LSN. It does with checksums or wal_log_hints (XLogHintBitIsNeeded), and both can only
// be switched while the server is down; on a standby, wal_log_hints follows the
// primary at any time.
func (c *chooser) flagsLogged() bool {
	logged := func(checksums uint32, hints bool) bool {
		return checksums != 0 || (hints && !c.standby && !c.parent.FromStandby)
	}
	return logged(c.control.ChecksumVersion, c.control.WALLogHints) &&
		logged(c.parent.ChecksumVersion, c.parent.WALLogHints) &&
		c.info.PostmasterStart.Equal(c.parent.PostmasterStart)
}

// pageMap builds a map of [parent's start, start), or says why there is none.
func (c *chooser) pageMap(ctx context.Context, name string) (m *mapSource, why string, err error) {
	if why := c.checksumsChanged(); why != "" {
		return nil, why, nil
	}
	m = &mapSource{relSegBlocks: pg.BlockNumber(c.control.Geometry.RelSegBlocks)}
	if name == MapSummaries {
		if why, err := c.summarized(ctx); why != "" || err != nil {
			return nil, why, err
		}
		if why, err := c.onLine(ctx); why != "" || err != nil {
			return nil, why, err
		}
		m.m, err = wal.Summaries(ctx, filepath.Join(c.walDir, "summaries"), c.request())
	} else {
		var built *wal.Built
		if built, err = c.fromWAL(ctx); err == nil {
			m.m = built.Map
		}
	}
	var incomplete *wal.IncompleteError
	switch {
	case ctx.Err() != nil:
		return nil, "", context.Cause(ctx)
	case errors.As(err, &incomplete):
		c.unknown = c.unknown || incomplete.Unknown
		return nil, incomplete.Error(), nil
	case err != nil:
		return nil, "", err
	}
	return m, "", nil
}

// request asks for the WAL from the parent's start to this one's.
func (c *chooser) request() wal.MapRequest {
	return wal.MapRequest{
		SystemIdentifier: c.control.SystemIdentifier, Geometry: c.control.Geometry,
		History: c.history, FromTimeline: c.parent.Timeline,
		From: c.parent.StartLSN, To: c.start,
		Archive: c.archive, Dir: c.walDir, Held: c.position.held, Jobs: c.jobs,
	}
}

// How long the server's summarizer may take to reach this backup's start, and how often it is asked.
const (
	summaryPatience = 30 * time.Second
	summaryPause    = 50 * time.Millisecond
)

// summarized says why the server's summaries are not to be had, or leave something out, or "".
func (c *chooser) summarized(ctx context.Context) (why string, err error) {
	switch {
	case c.info.Major() < 17:
		return fmt.Sprintf("PostgreSQL %d has no WAL summaries", c.info.Major()), nil
	case !c.info.SummarizeWAL:
		return "summarize_wal is off", nil
	}
	// The summarizer does not look at XLR_SPECIAL_REL_UPDATE. Of PostgreSQL's own records it knows all that have it.
	strangers, err := c.session.ExtensionResourceManagers(ctx)
	if err != nil {
		return "", err
	}
	if len(strangers) > 0 {
		return fmt.Sprintf("the server has resource managers of extensions (%s), whose changes summaries may leave out",
			strings.Join(strangers, ", ")), nil
	}
	return c.awaitSummaries(ctx)
}

// awaitSummaries waits until the server has summarized the WAL before this backup's start. It does so at the
// checkpoint record, which has just been written.
func (c *chooser) awaitSummaries(ctx context.Context) (why string, err error) {
	for waited := time.Duration(0); ; waited += summaryPause {
		_, lsn, err := c.session.SummarizedLSN(ctx)
		if err != nil {
			return "", err
		}
		if lsn >= c.start {
			return "", nil
		}
		if waited >= summaryPatience {
			return fmt.Sprintf("the server has summarized WAL only up to %s, this backup starts at %s",
				lsn, c.start), nil
		}
		if err := pace.Sleep(ctx, summaryPause); err != nil {
			return "", err
		}
	}
}
