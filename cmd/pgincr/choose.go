package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// errNoBackup: there is nothing to restore from.
var errNoBackup = errors.New("the cluster has no backups")

// chooseBackup gives the newest backup from which recovery can end at the
// target: it was complete before the target's time or position. backups come
// oldest first. With neither it is the newest.
func chooseBackup(backups []*repo.Manifest, lsn string, at time.Time) (*repo.Manifest, error) {
	var limit pg.LSN
	if lsn != "" {
		var err error
		if limit, err = pg.ParseLSN(lsn); err != nil {
			return nil, &usageError{err: fmt.Errorf("--target-lsn: %w", err), command: "pgincr restore"}
		}
	}
	var best *repo.Manifest
	for _, m := range backups {
		if m.Status != repo.StatusOK {
			continue
		}
		if limit != 0 && m.StopLSN > limit || !at.IsZero() && at.Before(m.FinishedAt.Truncate(time.Second)) {
			continue
		}
		best = m
	}
	switch {
	case best != nil:
		return best, nil
	case len(backups) == 0:
		return nil, errNoBackup
	default:
		return nil, errors.New("no backup was complete before the target")
	}
}
