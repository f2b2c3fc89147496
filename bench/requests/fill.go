package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/wal"
)

// geometry of the cluster.
func geometry() pg.Geometry {
	g := pg.DefaultGeometry()
	g.WALSegmentSize = 1 << 20
	return g
}

// week is how many backups a chain has.
const week = 7

// around is how many segments before a backup are archived truly.
const around = 4

// fill takes the backups, a day apart, and ends one more day, for which
// none is taken yet.
func (s *site) fill(ctx context.Context, backups, perDay int) error {
	first, err := s.segment(ctx)
	if err != nil {
		return err
	}
	var today pg.SegNo // with which the last day began
	begin := time.Now()
	for day := range backups {
		// The first backup is at the end of its day, as all others are.
		if err := s.pass(ctx, perDay-around, false); err != nil {
			return err
		}
		if err := s.pass(ctx, around, true); err != nil {
			return err
		}
		if today, err = s.segment(ctx); err != nil { // where this backup begins, if it is the last
			return err
		}
		args := []string{s.pgincr(), "backup", "-q", "-D", s.pgdata(), "-c", "fast", "-R", s.url(s.addr)}
		if day%week != 0 {
			args = append(args, "--incremental", "--page-map", "lsn")
		}
		if err := s.do(ctx, args...); err != nil {
			return err
		}
		if day%10 == 9 {
			say("%d backups after %.0f s", day+1, time.Since(begin).Seconds())
		}
	}
	if err := s.pass(ctx, perDay, true); err != nil {
		return err
	}
	end, err := s.segment(ctx)
	if err != nil {
		return err
	}
	say("the last day after %.0f s, %d segments", time.Since(begin).Seconds(), end-first)
	if err := s.stubs(first, today, end); err != nil {
		return err
	}
	s.filled.backups, s.filled.perDay = backups, perDay
	var err1, err2 error
	s.filled.segments, err1 = s.objects("wal")
	s.filled.maps, err2 = s.objects("maps")
	return errors.Join(err1, err2)
}

// segment is the number of the one that the server writes.
func (s *site) segment(ctx context.Context) (pg.SegNo, error) {
	name, err := s.sql(ctx, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
	if err != nil {
		return 0, err
	}
	_, n, err := geometry().ParseWALFileName(name)
	return n, err
}

// pass ends n segments, each with a transaction, and waits until they are archived, or, where they need not
// be, let go.
func (s *site) pass(ctx context.Context, n int, archive bool) error {
	if archive {
		if err := os.Remove(s.fast()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	} else if err := os.WriteFile(s.fast(), nil, 0o644); err != nil {
		return err
	}
	_, err := s.sql(ctx, fmt.Sprintf(`DO $$ BEGIN FOR k IN 1..%d LOOP
		UPDATE t SET n = n + 1 WHERE i = 1 + (k * 7919) %% 200000; COMMIT; PERFORM pg_switch_wal();
	END LOOP; END $$`, n))
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		ready, err := filepath.Glob(filepath.Join(s.pgdata(), "pg_wal/archive_status/*.ready"))
		if err != nil || len(ready) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d segments are still not archived", len(ready))
		}
	}
}

// stubs puts what is missing of the segments before end into the server's files, and the page maps that were
// made of them on the days before today.
func (s *site) stubs(first, today, end pg.SegNo) error {
	g := geometry()
	for n := first; n < end; n++ {
		if err := s.stub(filepath.Join("wal/00000001", g.WALFileName(1, n))); err != nil {
			return err
		}
	}
	for size := pg.SegNo(1); size <= 4096; size *= 16 {
		for n := (first + size - 1) / size * size; n < today && n+size <= end; n += size {
			if err := s.stub(filepath.Join("maps/00000001", wal.MapName(g, 1, n, n+size-1))); err != nil {
				return err
			}
		}
	}
	return nil
}

// stub makes an object that has a name and no use, unless there is one.
func (s *site) stub(name string) error {
	path := filepath.Join(s.entry(), name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Repeat("stub", 64))
	return errors.Join(err, f.Close())
}
