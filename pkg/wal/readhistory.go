package wal

import (
	"context"
	"errors"
	"io"

	"github.com/pgincr/pgincr/pkg/pg"
)

// maxHistory bounds what is read of a history file, in bytes; a line has about 60.
const maxHistory = 16 << 20

// ReadHistory reads the history file of a timeline from an archive: what it says, and its content. Timeline 1 has
// none and no ancestors. The content is given, too, when it makes no sense. fs.ErrNotExist: the archive does not
// have the file.
func ReadHistory(ctx context.Context, archive Archive, tli pg.TimelineID) (h pg.History, content []byte, err error) {
	if tli == 1 {
		return pg.History{Timeline: tli}, nil, nil
	}
	r, err := archive.Open(ctx, pg.HistoryFileName(tli))
	if err != nil {
		return h, nil, err
	}
	content, err = io.ReadAll(io.LimitReader(r, maxHistory))
	if err = errors.Join(err, r.Close()); err != nil {
		return h, nil, err
	}
	h, err = pg.ParseHistory(tli, content)
	return h, content, err
}
