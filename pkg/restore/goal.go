package restore

import (
	"context"
	"fmt"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// goal is a recovery target in view of one backup and the WAL behind it.
type goal struct {
	t      *TargetOptions
	m      *repo.Manifest
	reach  *reach
	open   openWAL
	target string // for messages
}

// String names a target for people.
func (t *TargetOptions) String() string {
	switch {
	case t.LSN != "":
		return "LSN " + t.LSN
	case t.Time != "":
		return "time " + t.Time
	case t.XID != "":
		return "transaction " + t.XID
	case t.Name != "":
		return fmt.Sprintf("restore point %q", t.Name)
	case t.Immediate:
		return "immediate"
	}
	return "end of WAL"
}

// verify refuses a target that recovery would not come to: the server would find
// out only after everything was written.
func (g *goal) verify(ctx context.Context) error {
	g.target = g.t.String()
	switch {
	case g.t.Immediate:
		return nil
	case g.t.LSN != "":
		return g.verifyLSN()
	case g.t.Time != "":
		return g.verifyTime(ctx)
	case g.t.XID != "" || g.t.Name != "":
		found, err := g.find(ctx, 0)
		if err == nil && !found {
			err = g.unreached("it does not come behind the backup. " + g.reach.gap())
		}
		return err
	}
	if g.reach.later != "" {
		return g.unreached("recovery would end at a gap. " + g.reach.gap())
	}
	return nil
}

func (g *goal) unreached(reason string) error {
	return &ReachError{Target: g.target, Backup: g.m.ID, Reason: reason, From: g.m.StopLSN, To: g.reach.end}
}

func (g *goal) verifyLSN() error {
	lsn, err := pg.ParseLSN(g.t.LSN)
	if err != nil {
		return &OptionError{"target LSN", err.Error()}
	}
	if lsn >= g.reach.end {
		return g.unreached(g.reach.gap())
	}
	return nil
}

// verifyTime looks for the newest end of a transaction: the server stops at the
// first that is later than the target, or, when it is exclusive, as late.
func (g *goal) verifyTime(ctx context.Context) error {
	at, err := ParseTargetTime(g.t.Time)
	if err != nil {
		return &OptionError{"target time", err.Error()}
	}
	for i := len(g.reach.parts) - 1; i >= 0; i-- {
		var newest time.Time
		for l, err := range wal.Landmarks(ctx, g.reach.parts[i:i+1], g.open) {
			if err != nil {
				return fmt.Errorf("target %s: %w", g.target, err)
			}
			if l.Kind == wal.TransactionEnd && l.Time.After(newest) {
				newest = l.Time
			}
		}
		if newest.After(at) || g.t.Exclusive && newest.Equal(at) {
			return nil
		}
		if !newest.IsZero() {
			return g.unreached(fmt.Sprintf("the newest transaction in the WAL ended at %s. %s",
				newest.Format(time.RFC3339Nano), g.reach.gap()))
		}
	}
	return g.unreached("no transaction ends in the WAL behind the backup. " + g.reach.gap())
}

// find looks for the transaction or the restore point behind the backup, in
// segments that begin before position limit (0: everywhere).
func (g *goal) find(ctx context.Context, limit pg.LSN) (bool, error) {
	parts := g.reach.parts
	for len(parts) > 0 && parts[0].End <= g.m.StopLSN {
		parts = parts[1:]
	}
	for limit != 0 && len(parts) > 0 && parts[len(parts)-1].Start >= limit {
		parts = parts[:len(parts)-1]
	}
	for l, err := range wal.Landmarks(ctx, parts, g.open) {
		if err != nil {
			return false, fmt.Errorf("target %s: %w", g.target, err)
		}
		if l.LSN < g.m.StopLSN {
			continue
		}
		if l.Kind == wal.RestorePoint && g.t.Name != "" && l.Name == g.t.Name {
			return true, nil
		}
		if l.Kind == wal.TransactionEnd && g.t.XID != "" && fmt.Sprint(l.XID) == g.t.XID {
			return true, nil
		}
	}
	return false, nil
}
