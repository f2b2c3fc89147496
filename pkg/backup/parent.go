package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// candidates lists the backups that could be built on, the wanted one first. For "latest" and
// "latest-full" older ones follow: after a restore to an earlier time, or a
// failover to a lagging standby, the newest backup may lie on a line that the server has not
// lived through, while an older one does not. A name that does not exist is an error.
func candidates(ctx context.Context, c *repo.Cluster, name string) ([]*repo.Manifest, error) {
	onlyFull := false
	switch name {
	case "latest-full":
		onlyFull = true
	case "", "latest":
	default:
		m, err := c.Backup(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("parent %s: %w", name, err)
		}
		return []*repo.Manifest{m}, nil
	}
	all, err := c.Backups(ctx)
	if err != nil {
		return nil, err
	}
	var out []*repo.Manifest
	for i := len(all) - 1; i >= 0; i-- {
		if onlyFull && all[i].Type != repo.TypeFull {
			continue
		}
		out = append(out, all[i])
	}
	return out, nil
}

// position is where this backup begins.
type position struct {
	control    pg.Control
	start      pg.LSN
	history    pg.History
	standby    bool
	version    int // server_version_num
	walDir     string
	held       *wal.Held // what was in walDir before the start; nil: a slot keeps it there
	postmaster time.Time // when the server was started
}

// unusable says why a backup cannot be the parent of one that begins at p, or "". Where it is one of the
// hazards in docs/hazards.md, it says which.
func (p *position) unusable(m *repo.Manifest) string {
	switch {
	case m.Status != repo.StatusOK:
		return "its status is " + m.Status
	case m.SystemIdentifier != p.control.SystemIdentifier:
		return fmt.Sprintf("its system identifier is %d, the server's is %d (hazard L26)",
			m.SystemIdentifier, p.control.SystemIdentifier)
	case m.PGVersion/10000 != p.version/10000 || m.CatalogVersion != p.control.CatalogVersion:
		return fmt.Sprintf("it is of PostgreSQL %d with catalog version %d, the server is %d with %d (hazard L26)",
			m.PGVersion/10000, m.CatalogVersion, p.version/10000, p.control.CatalogVersion)
	case m.Geometry != p.control.Geometry:
		return fmt.Sprintf("block, segment and WAL segment sizes changed from %v to %v (hazard L25)",
			m.Geometry, p.control.Geometry)
	}
	if why := p.offLine(m); why != "" {
		return why
	}
	switch {
	case p.start < m.StartLSN:
		return fmt.Sprintf("this backup starts at %s, before its start at %s (hazard L25)", p.start, m.StartLSN)
	case p.start >= m.StopLSN:
		return ""
	case !p.standby:
		return fmt.Sprintf("this backup starts at %s, before its end at %s: "+
			"the server's WAL was reset (hazard L25)", p.start, m.StopLSN)
	case p.control.MinRecoveryPoint < m.StopLSN:
		// Its pages may be of any moment up to its end. A restore has to replay at least that
		// far, but the server does so only to its own minimum recovery point.
		return fmt.Sprintf("the standby has only written pages up to %s, it ends at %s (hazard L27)",
			p.control.MinRecoveryPoint, m.StopLSN)
	}
	return ""
}

// offLine says why the parent's end was not lived through by this server. Timeline numbers
// alone prove nothing: two standbys may both have been promoted to timeline 2, so the
// switch points are compared as well.
func (p *position) offLine(m *repo.Manifest) string {
	theirs := pg.History{Timeline: m.Timeline}
	if m.History != "" {
		h, err := pg.ParseHistory(m.Timeline, []byte(m.History))
		if err != nil {
			return fmt.Sprintf("its timeline history: %v", err)
		}
		theirs = h
	}
	switch {
	case !p.history.Contains(m.Timeline, m.StopLSN):
		return fmt.Sprintf("its end at %s on timeline %d is not in the history of timeline %d (hazard L23)",
			m.StopLSN, m.Timeline, p.history.Timeline)
	case !p.history.SameLine(theirs, m.Timeline, m.StopLSN):
		return fmt.Sprintf("its timeline %d has another history than the server's (hazard L23)", m.Timeline)
	}
	return ""
}

// picked is the parent, with its chain open, so that it is not removed. Without one, reason says why; with
// one, why it is not the first that could have been.
type picked struct {
	parent *repo.Manifest
	chain  *repo.Chain
	line   line
	reason string
}

// choose gives the first candidate that can be built on, or none.
func (p *position) choose(ctx context.Context, c *repo.Cluster, list []*repo.Manifest) (out picked, err error) {
	if len(list) == 0 {
		return picked{reason: "there is no earlier backup to build on"}, nil
	}
	for _, m := range list {
		why := p.unusable(m)
		if why == "" {
			if out.line, why, err = p.lineOf(ctx, m); err != nil {
				return picked{}, err
			}
		}
		if why == "" {
			out.chain, err = c.OpenChain(ctx, m)
			if err == nil {
				out.parent = m
				return out, nil
			}
			if !errors.Is(err, repo.ErrCorrupt) && !errors.Is(err, repo.ErrNotFound) && !errors.Is(err, repo.ErrLocked) {
				return picked{}, err
			}
			why = err.Error()
		}
		if out.reason == "" {
			out.reason = fmt.Sprintf("backup %s cannot be built on: %s", m.ID, why)
		}
	}
	return picked{reason: out.reason}, nil
}
