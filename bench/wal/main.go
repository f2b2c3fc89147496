// Command wal measures how fast page maps are made from WAL, as ratios to
// PostgreSQL's own reader in the same run.
//
//	go run ./bench/wal scan   -pg BINDIR -wal DIR [-rounds 7]
//	go run ./bench/wal push   -wal DIR [-dir SCRATCH] [-rounds 7]
//	go run ./bench/wal range  [-repo s3://BUCKET/…] [-segments 10000] [-rounds 7]
//
// scan compares the segments in DIR read by `pg_waldump --quiet`, which decodes and
// checks each record, with maps made of them by 1 and 2 workers. push compares
// archive-push, map included, with `zstd -3` and fsync of the same segments.
// range tells what the map of a long range costs, in time and requests of an object
// storage, without and with compacted maps. Rounds alternate; each ratio is given as median (minimum–maximum), of
// time and, where both sides are processes, of processor time. generate.sh makes DIR.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench/wal:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("which: scan, push or range?")
	}
	switch args[0] {
	case "scan":
		return benchScan(ctx, args[1:])
	case "maps": // one side of scan, as a process of its own
		return makeMaps(ctx, args[1:])
	case "push":
		return benchPush(ctx, args[1:])
	case "range":
		return benchRange(ctx, args[1:])
	}
	return fmt.Errorf("unknown measurement %q", args[0])
}

// spread prints median, minimum and maximum of a list of numbers.
func spread(v []float64) string {
	v = slices.Sorted(slices.Values(v))
	return fmt.Sprintf("%.2f (%.2f–%.2f)", v[len(v)/2], v[0], v[len(v)-1])
}
