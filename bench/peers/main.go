// Command peers measures pgincr beside other tools and beside what the hardware does at most, on one cluster
// and with the same changes for all, and writes docs/benchmarks.md.
//
//	make benchmarks                          all stages, then the document
//	go run ./bench/peers prepare             the clusters
//	go run ./bench/peers run STAGE...        some of them; results are kept in $RESULTS
//	go run ./bench/peers render              the document from what is there
//	go run ./bench/peers compare DIR WORKERS reads all files, hashes the pages, sums the files: the floor of --delta
//	go run ./bench/peers clean               stops servers and removes all in $BENCH_DIR but the results
//
// Stages, in their order: full, incremental, restore, wal, server, encryption, scaling. A stage that is run again
// replaces its results. They can be run one by one, also on different days: the cluster and all
// repositories stay in $BENCH_DIR until clean.
//
// Environment: BENCH_DIR on the disk to measure (/var/tmp/pgincr-benchmarks), RESULTS the file of results
// (BENCH_DIR/results.json), DATA which data sets of "pgbench documents" (both), SCALE of pgbench (100: 1.6
// GB; the other data set is half as large), RUNS alternating runs (5), JOBS (2), MAJOR of PostgreSQL (17),
// CHAINS lengths ("9 50"), GIGABYTES and FILES of the curves ("1 4 16", "1000 10000 100000"), DOCUMENT what
// render writes (docs/benchmarks.md), PGINCR_PG_ROOT and PGINCR_PEERS_ROOT where tools/*/install.sh installed,
// WALG a wal-g program. A tool that is not there is not measured, and the document says so.
//
// Every side of a case runs once in each run, in another order each time. Before each the file system is
// synced. Measured are wall time, the processor time of the whole machine, what the program, its children
// and the server's backends for it read and wrote by system calls, the size of what it stores, and the
// memory of its largest process.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// stage is what can be run by itself.
type stage struct {
	name string
	run  func(*bench, context.Context) error
	sets bool // once for each data set
}

// stages in the order in which they run.
var stages = []stage{
	{"full", (*bench).full, true},
	{"incremental", (*bench).incremental, true},
	{"restore", (*bench).restore, false},
	{"wal", (*bench).wal, false},
	{"server", (*bench).server, false},
	{"encryption", (*bench).encryption, true},
	{"scaling", (*bench).scaling, false},
}

func run(ctx context.Context, args []string) error {
	cfg, err := configure()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return fmt.Errorf("prepare, run [STAGE…], render or clean?")
	}
	switch args[0] {
	case "render":
		return render(cfg)
	case "clean":
		return clean(ctx, cfg)
	case "prepare":
		nothing := stage{"", func(*bench, context.Context) error { return nil }, true}
		for _, data := range cfg.data {
			if err := runStage(ctx, cfg, nothing, data); err != nil {
				return err
			}
		}
		return nil
	case "compare":
		if len(args) != 3 {
			return fmt.Errorf("compare DIRECTORY WORKERS")
		}
		return compare(args[1], args[2])
	case "run":
		return runStages(ctx, cfg, args[1:])
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func runStages(ctx context.Context, cfg config, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(stages, func(s stage) bool { return s.name == name }) {
			return fmt.Errorf("no stage %q", name)
		}
	}
	for _, s := range stages {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		sets := cfg.data
		if !s.sets {
			sets = sets[:1]
		}
		for _, data := range sets {
			if err := runStage(ctx, cfg, s, data); err != nil {
				return fmt.Errorf("%s, %s: %w", s.name, data, err)
			}
		}
	}
	return nil
}

func runStage(ctx context.Context, cfg config, s stage, data string) (err error) {
	say("stage %s, %s", s.name, data)
	b, err := open(ctx, cfg, s.name, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop(context.WithoutCancel(ctx))) }()
	if err := b.serve(ctx); err != nil {
		return err
	}
	return s.run(b, ctx)
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, strings.TrimSuffix(format, "\n")+"\n", args...)
}
