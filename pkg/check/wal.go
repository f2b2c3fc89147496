package check

import (
	"context"
	"errors"
	"slices"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

// walOf looks whether the WAL between and behind the backups is there.
func walOf(ctx context.Context, c *repo.Cluster, all []*repo.Manifest) []Finding {
	const gapsName, name = "wal-gaps", "restorable"
	windows, gaps, err := restore.Windows(ctx, c, all)
	var key *repo.KeyError
	if errors.As(err, &key) {
		return []Finding{skipped(gapsName, "the key at hand does not read WAL"), skipped(name, "likewise")}
	}
	if err != nil {
		return []Finding{
			Failed(gapsName, err, "pgincr verify tells what is still whole"), skipped(name, "that cannot be told"),
		}
	}
	return []Finding{gapsFinding(gapsName, windows, gaps), restorable(name, windows, all)}
}

const gapRemedy = "a segment that turns up again can still be stored with pgincr archive-push; otherwise take a backup"

// gapsFinding tells of gaps, but for those that expire leaves between backups. Those in front of the newest window
// keep nobody from restoring what is newest.
func gapsFinding(name string, windows []restore.Window, gaps []restore.Gap) Finding {
	gaps = slices.DeleteFunc(slices.Clone(gaps), func(g restore.Gap) bool { return g.Expired })
	var segments uint64
	for _, g := range gaps {
		segments += g.Segments
	}
	f := ok(name, "none")
	if len(gaps) > 0 {
		last := gaps[len(gaps)-1]
		f = bad(Warning, name, gapRemedy, "%d segments are missing, last %s to %s", segments, last.First, last.Last)
	}
	if n := len(windows); n > 0 && windows[n-1].Missing != "" {
		f = bad(Critical, name, gapRemedy, "recovery cannot pass %s: %s is missing, later WAL is there",
			windows[n-1].To, windows[n-1].Missing)
	}
	return f.with("wal_gaps", float64(segments), "", 0)
}

// restorable says whether the newest backup can become consistent, and how far recovery from it comes.
func restorable(name string, windows []restore.Window, all []*repo.Manifest) Finding {
	m := Newest(all)
	if m == nil {
		return skipped(name, "there is no backup")
	}
	for i := len(windows) - 1; i >= 0; i-- {
		if w := windows[i]; w.From <= m.StopLSN && m.StopLSN <= w.To {
			return ok(name, "from %s of %s to %s on timeline %d", w.From, w.Backup, w.To, w.Timeline)
		}
	}
	return bad(Critical, name, gapRemedy, "%s cannot become consistent: WAL that it needs is not in the archive", m.ID)
}
