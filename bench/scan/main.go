// Command scan measures the page scan (pkg/pagescan) against other ways of
// looking at the same files: cat, and probing page headers by read and pread.
//
//	go run ./bench/scan [-rounds 7] [-jobs 2] [-cold] FILE|DIRECTORY...
//	go run ./bench/scan -sparse DIRECTORY
//
// Directories are searched for relation files of any fork. Every round runs every side once, each in a process of
// its own; the answer is the median of each side with its extremes, and
// as a ratio to cat. With -cold the files leave the page cache before each run, and what
// is left of them in it afterwards is told. -sparse makes a relation of 100 GB and a million
// files, all holes, below the directory, scans both and removes them.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "scan:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("scan", flag.ContinueOnError)
	rounds := flags.Int("rounds", 7, "how often each side runs")
	jobs := flags.Int("jobs", runtime.NumCPU(), "workers of the parallel sides")
	cold := flags.Bool("cold", false, "drop the files from the page cache before each run")
	sparse := flags.Bool("sparse", false, "measure sparse files made below the directory")
	side := flags.String("side", "", "run this side once (used by the measurement itself)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() == 0:
		return errors.New("no files given")
	case *side != "":
		return runSide(*side, flags.Args())
	case *sparse:
		return measureSparse(out, flags.Arg(0), *jobs)
	}
	files, size, err := find(flags.Args())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d files, %.2f GB, %s, %d CPUs, %d rounds, cold %v\n\n", len(files), float64(size)/1e9,
		kernel(), runtime.NumCPU(), *rounds, *cold)
	if err != nil {
		return err
	}
	sides := []contender{
		{"cat", append([]string{"cat"}, files...)},
		self("read128k", files), self("pread24", files),
		self("scan:1", files), self("scan:"+strconv.Itoa(*jobs), files),
		self("hash:1", files), self("hash:"+strconv.Itoa(*jobs), files),
	}
	results, err := measure(sides, files, *rounds, *cold)
	if err != nil {
		return err
	}
	return report(out, sides, results, size)
}

// contender is one thing to be measured: a command line.
type contender struct {
	name string
	argv []string
}

// self is a side that this program runs.
func self(name string, files []string) contender {
	return contender{name, append([]string{"/proc/self/exe", "-side", name}, files...)}
}

// result is one run.
type result struct {
	wall, cpu time.Duration
	rss       int64 // bytes
	left      float64
}

// measure runs the sides in turn, round after round.
func measure(sides []contender, files []string, rounds int, cold bool) (map[string][]result, error) {
	results := map[string][]result{}
	for round := range rounds + 1 {
		for _, s := range sides {
			if cold {
				if err := evict(files); err != nil {
					return nil, err
				}
			}
			r, err := time1(s)
			if err != nil {
				return nil, err
			}
			if r.left, err = resident(files); err != nil {
				return nil, err
			}
			if round > 0 { // the first warms up
				results[s.name] = append(results[s.name], r)
			}
		}
	}
	return results, nil
}

// time1 runs a side once.
func time1(s contender) (result, error) {
	cmd := exec.Command(s.argv[0], s.argv[1:]...)
	if s.argv[0] == "/proc/self/exe" {
		exe, err := os.Executable()
		if err != nil {
			return result{}, err
		}
		cmd.Path, cmd.Args[0] = exe, exe
	}
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return result{}, fmt.Errorf("%s: %w", s.name, err)
	}
	r := result{wall: time.Since(began), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.rss = usage.Maxrss << 10
	}
	return r, nil
}

// report prints the medians and the ratios to the first side.
func report(out io.Writer, sides []contender, results map[string][]result, size int64) error {
	wall := func(r result) time.Duration { return r.wall }
	cpu := func(r result) time.Duration { return r.cpu }
	base, _, _ := spread(results[sides[0].name], wall)
	_, err := fmt.Fprintf(out, "%-10s %9s %21s %8s %9s %9s %8s %6s\n",
		"side", "wall", "(min to max)", "GB/s", "faster", "cpu", "rss", "left")
	if err != nil {
		return err
	}
	for _, s := range sides {
		rs := results[s.name]
		mid, lo, hi := spread(rs, wall)
		used, _, _ := spread(rs, cpu)
		_, err := fmt.Fprintf(out, "%-10s %7.1fms %9.1f to %7.1f %8.1f %8.2fx %7.1fms %5.1fMB %5.1f%%\n", s.name,
			ms(mid), ms(lo), ms(hi), float64(size)/1e9/mid.Seconds(), base.Seconds()/mid.Seconds(), ms(used),
			float64(rs[len(rs)-1].rss)/1e6, 100*rs[len(rs)-1].left)
		if err != nil {
			return err
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// spread gives the median and the extremes.
func spread(rs []result, of func(result) time.Duration) (mid, lo, hi time.Duration) {
	var ds []time.Duration
	for _, r := range rs {
		ds = append(ds, of(r))
	}
	slices.Sort(ds)
	return ds[len(ds)/2], ds[0], ds[len(ds)-1]
}
