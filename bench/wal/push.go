package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// benchPush archives segments one by one, each by a process of its own.
func benchPush(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("push", flag.ContinueOnError)
	pgincr := f.String("pgincr", "pgincr", "the program")
	dir := f.String("wal", "", "directory of WAL segments")
	scratch := f.String("dir", os.TempDir(), "where to write; best a disk")
	rounds := f.Int("rounds", 7, "how often")
	segments := f.Int("segments", 10, "how many segments in a round")
	if err := f.Parse(args); err != nil {
		return err
	}
	names, err := plainDir(*dir).List(ctx, 1, "")
	if err != nil || len(names) < *segments {
		return fmt.Errorf("%d segments in %q, want %d: %w", len(names), *dir, *segments, err)
	}
	names = names[len(names)-*segments:]
	zstd, push := &side{name: "zstd -3"}, &side{name: "archive-push"}
	for range *rounds {
		tmp, err := os.MkdirTemp(*scratch, "bench-wal-")
		if err != nil {
			return err
		}
		err = pushRound(ctx, *pgincr, *dir, tmp, names, zstd, push)
		if err := errors.Join(err, os.RemoveAll(tmp)); err != nil {
			return err
		}
	}
	fmt.Printf("%d segments, ms each: zstd -3 and fsync %s, archive-push %s\n", len(names),
		spread(ratios(zstd.wall, repeat(float64(len(names))/1000, *rounds))),
		spread(ratios(push.wall, repeat(float64(len(names))/1000, *rounds))))
	fmt.Printf("archive-push / zstd -3  time %s, processor %s\n",
		spread(ratios(push.wall, zstd.wall)), spread(ratios(push.cpu, zstd.cpu)))
	return nil
}

// pushRound does each segment both ways, one after the other, and adds up.
func pushRound(ctx context.Context, pgincr, dir, tmp string, names []string, zstd, push *side) error {
	if err := initRepo(ctx, tmp, filepath.Join(dir, names[0])); err != nil {
		return err
	}
	zstd.wall, zstd.cpu = append(zstd.wall, 0), append(zstd.cpu, 0)
	push.wall, push.cpu = append(push.wall, 0), append(push.cpu, 0)
	for _, name := range names {
		segment, out := filepath.Join(dir, name), filepath.Join(tmp, name+".zst")
		begin := time.Now()
		if err := zstd.add(ctx, "zstd", "-3", "-q", segment, "-o", out); err != nil {
			return err
		}
		if err := syncFile(out); err != nil {
			return err
		}
		zstd.wall[len(zstd.wall)-1] += time.Since(begin).Seconds()
		begin = time.Now()
		if err := push.add(ctx, pgincr, "archive-push", "--repo", tmp+"/repo", segment); err != nil {
			return err
		}
		push.wall[len(push.wall)-1] += time.Since(begin).Seconds()
	}
	return nil
}

// add runs a command and adds the processor time it took.
func (s *side) add(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	s.cpu[len(s.cpu)-1] += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return nil
}

func syncFile(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// initRepo makes a repository for the cluster that wrote a segment.
func initRepo(ctx context.Context, tmp, segment string) error {
	id, err := wal.SystemIdentifier(segment)
	if err != nil {
		return err
	}
	st, err := repo.OpenStore(ctx, tmp+"/repo")
	if err != nil {
		return err
	}
	_, _, err = repo.Init(ctx, st, repo.ClusterInfo{
		Name: "main", SystemIdentifier: id, PGVersion: 170000, Geometry: pg.DefaultGeometry(),
	})
	return err
}
