package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// line is whether this server has lived through the end of a parent. Timeline and position do not tell: a server
// that is restored with the backup's WAL, or a copy of a data directory that is started beside
// the first, goes on writing on the same timeline.
type line struct {
	proven bool
	why    string // why it is not proven
}

// lineOf looks for what the server itself has to prove that its WAL came through the end of m: the WAL there, in
// pg_wal, or the fact that it has not been restarted since. foreign says that the WAL there is another.
func (p *position) lineOf(ctx context.Context, m *repo.Manifest) (l line, foreign string, err error) {
	if m.WALMark == nil {
		l.why = fmt.Sprintf("backup %s does not tell its WAL from that of another server on its timeline", m.ID)
	} else {
		same, err := marked(ctx, p.control.Geometry, p.history, m, wal.InDir(p.walDir))
		switch {
		case ctx.Err() != nil:
			return l, "", context.Cause(ctx)
		case err == nil && same:
			return line{proven: true}, "", nil
		case err == nil:
			return l, fmt.Sprintf("its WAL up to its end at %s is not the WAL that this server has there, "+
				"although both are on timeline %d (hazard L23)", m.StopLSN, m.Timeline), nil
		case errors.Is(err, fs.ErrNotExist):
			l.why = fmt.Sprintf("pg_wal does not go back to the end of backup %s at %s", m.ID, m.StopLSN)
		default:
			l.why = err.Error()
		}
	}
	if p.postmaster.Equal(m.PostmasterStart) {
		return line{proven: true}, "", nil
	}
	l.why += ", and the server was restarted since"
	return l, "", nil
}

// marked says whether the WAL before the end of m is, as open has it, what m was taken with.
func marked(ctx context.Context, g pg.Geometry, h pg.History, m *repo.Manifest, open wal.Opener) (bool, error) {
	sum, err := wal.Sum(ctx, g, h, m.WALMark.From, m.StopLSN, open)
	return err == nil && m.WALMark.Sum == repo.FormatSum(sum), err
}

// tiePatience is how long an archive may take to get a segment that this backup's start has finished, by
// archive_command or from a receiver: this is the usual case.
const tiePatience = 30 * time.Second

// fromWAL gives the map of the WAL from the parent's start to this one's, of this server's WAL: what is archived
// counts only as far as pg_wal proves that it is this server's. It proves the line on the way where
// the parent's end is archived.
func (c *chooser) fromWAL(ctx context.Context) (*wal.Built, error) {
	c.lineTried = true
	built, archived, err := c.built(ctx)
	if err != nil {
		return nil, err
	}
	if !archived || c.parent.WALMark == nil {
		if c.line.proven {
			return built, nil
		}
		return nil, &wal.IncompleteError{Reason: c.line.why}
	}
	same, err := marked(ctx, c.control.Geometry, c.history, c.parent, c.archive.Open)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == nil && same:
		c.line = line{proven: true}
		return built, nil
	case err == nil:
		return nil, &wal.IncompleteError{Reason: fmt.Sprintf(
			"the WAL that is archived before the end of backup %s is another server's", c.parent.ID)}
	case c.line.proven:
		return built, nil // the archive does not have it, but pg_wal; or may not be read, but for maps
	}
	c.line.why += ", and in the archive: " + err.Error()
	return nil, &wal.IncompleteError{Reason: c.line.why}
}

// built makes the map, and says whether archived WAL that is this server's went into it. Where the archive's is
// not, or cannot be told to be, what pg_wal has may be enough.
func (c *chooser) built(ctx context.Context) (_ *wal.Built, archived bool, err error) {
	req := c.request()
	t, err := wal.Tied(ctx, req)
	if err != nil || t.Compared == 0 || t.Foreign != "" {
		own := req
		own.Archive = nil
		if built, err := wal.Build(ctx, own); err == nil || ctx.Err() != nil {
			return built, false, err
		}
	}
	if err == nil && t.Behind != "" {
		var missing string
		missing, err = awaitSegments(ctx, c.archive, []string{t.Behind}, tiePatience)
		if err == nil && missing == "" {
			t, err = wal.Tied(ctx, req)
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, false, context.Cause(ctx)
	case err != nil:
		return nil, false, &wal.IncompleteError{Reason: err.Error(), Err: err}
	case t.Foreign != "":
		return nil, false, &wal.IncompleteError{Segment: t.Foreign, Reason: fmt.Sprintf(
			"segment %s in the archive is not the one that this server has: the archive has another server's WAL", t.Foreign)}
	}
	built, err := wal.Build(ctx, req)
	if err == nil && t.Compared == 0 {
		why := "the archive and pg_wal have no segment in common"
		if t.Behind != "" {
			why = fmt.Sprintf("segment %s, the first in pg_wal, is not in the archive after %s", t.Behind, tiePatience)
		}
		err = &wal.IncompleteError{Reason: why + ": nothing proves that the archived WAL is this server's"}
	}
	return built, err == nil, err
}

// onLine says why nothing proves that the server has lived through the parent's end, or "". It asks the archive
// only when nothing else tells, and once.
func (c *chooser) onLine(ctx context.Context) (why string, err error) {
	if c.line.proven || c.lineTried {
		return c.line.why, nil
	}
	_, err = c.fromWAL(ctx)
	var incomplete *wal.IncompleteError
	switch {
	case err == nil || c.line.proven:
		return "", nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case !errors.As(err, &incomplete):
		return "", err
	}
	if c.line.why != incomplete.Reason {
		c.line.why += "; " + incomplete.Reason
	}
	return c.line.why, nil
}

// newMark makes the mark of a backup that ends at stop: of the last two segments of its WAL, the last one alone where
// pg_wal has lost the other meanwhile. Two, because the last may hold little: records that say when
// they were written are what tells lines apart. nil, with the reason: there is none.
func (r *run) newMark(ctx context.Context, h pg.History) (mark *repo.WALMark, why string) {
	g := r.at.control.Geometry
	last := g.SegmentOf(r.m.StopLSN - 1)
	for n := max(g.SegmentOf(r.m.StartLSN), last-1); n <= last; n++ {
		from := g.SegmentStart(n)
		sum, err := wal.Sum(ctx, g, h, from, r.m.StopLSN, wal.InDir(r.walDir))
		if err == nil {
			return &repo.WALMark{From: from, Sum: repo.FormatSum(sum)}, ""
		}
		why = err.Error()
	}
	return nil, why
}

// archivedHere says why the archived WAL of this backup is not what the server wrote, or "".
func (r *run) archivedHere(ctx context.Context, h pg.History) (why string, err error) {
	if r.m.WALMark == nil {
		return "", nil
	}
	archive := r.c.WAL(r.o.Compression)
	same, err := marked(ctx, r.at.control.Geometry, h, r.m, archive.Open)
	where := "archive: "
	var key *repo.KeyError
	if errors.As(err, &key) { // which takes backups and does not read
		same, where, err = r.sameFiles(ctx, h, archive)
	}
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		return where + err.Error(), nil
	case !same:
		return fmt.Sprintf("the archive's WAL up to %s is another server's, on the same timeline", r.m.StopLSN), nil
	}
	return "", nil
}

// sameFiles compares the segments of the mark as a whole. They are finished, since they are archived. An error is
// that of where.
func (r *run) sameFiles(ctx context.Context, h pg.History, archive wal.Archive) (same bool, where string, err error) {
	g := r.at.control.Geometry
	for n := g.SegmentOf(r.m.WALMark.From); n <= g.SegmentOf(r.m.StopLSN-1); n++ {
		name := g.WALFileName(h.TimelineAt(g.SegmentStart(n+1)-1), n)
		f, err := os.Open(filepath.Join(r.walDir, name))
		if err != nil {
			return false, "pg_wal: ", err
		}
		same, err = archive.Same(ctx, name, f)
		if err = errors.Join(err, f.Close()); err != nil || !same {
			return false, "archive: ", err
		}
	}
	return true, "", nil
}
