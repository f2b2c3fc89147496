package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/wal"
)

// side is one contestant and what it took in each round.
type side struct {
	name      string
	args      []string
	wall, cpu []float64 // seconds
}

func benchScan(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("scan", flag.ContinueOnError)
	bin := f.String("pg", "", "directory of pg_waldump")
	dir := f.String("wal", "", "directory of WAL segments")
	rounds := f.Int("rounds", 7, "how often")
	if err := f.Parse(args); err != nil {
		return err
	}
	names, err := plainDir(*dir).List(ctx, 1, "")
	if err != nil || len(names) == 0 {
		return fmt.Errorf("no segments in %q: %w", *dir, err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	sides := []*side{
		{name: "pg_waldump", args: []string{
			filepath.Join(*bin, "pg_waldump"), "--quiet", "-p", *dir, names[0], names[len(names)-1],
		}},
		{name: "1 worker", args: []string{self, "maps", *dir, "1"}},
		{name: "2 workers", args: []string{self, "maps", *dir, "2"}},
	}
	for range *rounds {
		for _, s := range sides {
			if err := s.round(ctx); err != nil {
				return err
			}
		}
	}
	size := float64(len(names)) * segmentSize(*dir, names[0])
	for _, s := range sides {
		fmt.Printf("%-11s %s GB/s\n", s.name, spread(ratios(repeat(size/1e9, *rounds), s.wall)))
	}
	for _, s := range sides[1:] {
		fmt.Printf("pg_waldump / %-10s time %s, processor %s\n", s.name,
			spread(ratios(sides[0].wall, s.wall)), spread(ratios(sides[0].cpu, s.cpu)))
	}
	fmt.Printf("1 worker / 2 workers   time %s\n", spread(ratios(sides[1].wall, sides[2].wall)))
	return nil
}

// round runs the command once.
func (s *side) round(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, s.args[0], s.args[1:]...)
	begin := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", s.args, err, out)
	}
	s.wall = append(s.wall, time.Since(begin).Seconds())
	s.cpu = append(s.cpu, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	return nil
}

func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}

func repeat(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func segmentSize(dir, name string) float64 {
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		return 0
	}
	return float64(info.Size())
}

// makeMaps makes the maps of all segments in a directory and throws them away.
func makeMaps(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("maps DIR JOBS: %q", args)
	}
	jobs, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	req := wal.MapsRequest{Geometry: pg.DefaultGeometry(), Archive: plainDir(args[0]), Jobs: jobs}
	names, err := plainDir(args[0]).List(ctx, 1, "")
	if err != nil {
		return err
	}
	header := make([]byte, 40)
	f, err := os.Open(filepath.Join(args[0], names[0]))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.ReadAt(header, 0); err != nil {
		return err
	}
	req.SystemIdentifier = binary.LittleEndian.Uint64(header[24:])
	req.Geometry.WALSegmentSize = binary.LittleEndian.Uint32(header[32:])
	built, err := wal.BuildMaps(ctx, req)
	if err != nil {
		return err
	}
	if len(built.Unmapped) > 0 || built.Made != len(names) {
		return fmt.Errorf("%d maps of %d segments: %v", built.Made, len(names), built.Unmapped)
	}
	return nil
}
