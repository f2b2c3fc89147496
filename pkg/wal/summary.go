package wal

import (
	"context"

	"github.com/pgincr/pgincr/pkg/pagemap"
)

// Summaries reads the server's own WAL summaries (17+) below dir
// (pg_wal/summaries) for the range of req and merges them by this project's rules, or fails with
// *IncompleteError (backup/walsummary.c, common/blkreftable.c).
func Summaries(ctx context.Context, dir string, req MapRequest) (*pagemap.Map, error) { panic("stub") }
