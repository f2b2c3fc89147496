package main

import (
	"fmt"
	"slices"
	"strings"
)

// bound is a ratio of two sides that a goal limits.
type bound struct {
	stage, name, side, to string
	of                    what
	what                  string
	least                 bool // the ratio is how many times faster, and must be at least so
	limit                 float64
	at                    float64 // of a curve, where on it
	floor                 string  // side that does what no side can do without, measured where the goal is missed
}

// goal is one row of the table of goals.
type goal struct {
	work, text string
	bounds     []bound                         // or:
	judge      func(*results) (string, string) // what is no ratio of two sides; without both it is measured elsewhere
}

// atLeast makes a limit of how many times faster a side is.
func (b bound) atLeast(limit float64) bound {
	b.least, b.limit = true, limit
	return b
}

// atMost limits the ratio itself.
func (b bound) atMost(limit float64) bound {
	b.limit = limit
	return b
}

func between(stage, name, side, to string) bound {
	return bound{stage: stage, name: name, side: side, to: to, of: wall, what: "time"}
}

// over names the floor of a side.
func (b bound) over(floor string) bound {
	b.floor = floor
	return b
}

// in makes the bound one of something else than time.
func (b bound) in(name string, of what) bound {
	b.what, b.of = name, of
	return b
}

// goals are what pgincr is to reach.
func goals(sizes []float64) []goal {
	const rows, many, none = "100 rows", "5 % of pages", "nothing changed"
	incremental := func(name, side, to string) bound { return between("incremental", name, "pgincr "+side, to) }
	full := func(to string) bound { return between("full", "full", "pgincr", to) }
	chain := func(length, side, to string) bound {
		return between("restore", "chain of "+length, "pgincr, "+side, to)
	}
	maps := func(workers string) bound {
		return between("wal", "page maps from WAL", "page maps, workers: "+workers, "pg_waldump --quiet")
	}
	load := func(name, side string) bound {
		return between("server", name, "pg_basebackup", side).in("transactions", more("tps")).atLeast(1)
	}
	return []goal{
		{
			work: "incremental by page map, few pages changed", text: "no slower than native, 10 × faster than pgBackRest",
			bounds: []bound{
				incremental(none, "wal", "pg_basebackup").atMost(1), incremental(none, "summaries", "pg_basebackup").atMost(1),
				incremental(rows, "wal", "pg_basebackup").atMost(1), incremental(rows, "summaries", "pg_basebackup").atMost(1),
				incremental(none, "wal", "pgBackRest").atLeast(10).over(startStop),
				incremental(rows, "wal", "pgBackRest").atLeast(10),
			},
		},
		{
			work: "the same, bytes read of the data directory", judge: (*results).bytesRead,
			text: "≤ 2 × the changed pages, and the small files that are copied whole",
		},
		{
			work: "incremental by page map, 5 % of pages", text: "no slower than native; half of WAL-G's time",
			bounds: []bound{
				incremental(many, "wal", "pg_basebackup").atMost(1), incremental(many, "summaries", "pg_basebackup").atMost(1),
				incremental(many, "wal", "WAL-G").atMost(0.5),
			},
		},
		{
			work: "incremental by page LSN, files cached, the whole backup",
			text: "3 × faster than `cat` of the files; ≤ 1/4 of WAL-G's LSN scan",
			bounds: []bound{
				incremental(none, "lsn", "cat of the files").atLeast(3).over(startStop),
				incremental(rows, "lsn", "cat of the files").atLeast(3).over(startStop),
				incremental(rows, "lsn", "WAL-G").atMost(0.25),
			},
		},
		{
			work: "the same, more data", text: "3 × faster than `cat` of the files",
			bounds: larger(sizes),
		},
		{
			work: "full, zstd at the default level, same jobs",
			text: "≤ 0.8 × pgBackRest and WAL-G in wall time and CPU; repository at most 5 % larger",
			bounds: []bound{
				full("pgBackRest").atMost(0.8), full("pgBackRest").in("CPU", cpu).atMost(0.8),
				full("pgBackRest").in("stored", stored).atMost(1.05),
				full("WAL-G").atMost(0.8), full("WAL-G").in("CPU", cpu).atMost(0.8),
				full("WAL-G").in("stored", stored).atMost(1.05),
			},
		},
		{work: "restore of a chain of 9", text: "≤ 1.1 × `cp -r` + `sync`; ≤ 0.6 × the best peer in CPU", bounds: []bound{
			chain("9", "the chain", "cp -r and sync").atMost(1.1),
			chain("9", "the chain", "pg_combinebackup").in("CPU", cpu).atMost(0.6),
			chain("9", "the chain", "pgBackRest").in("CPU", cpu).atMost(0.6),
		}},
		{work: "restore of a chain of 50", text: "≤ 1.15 × a restore of one full of the same state", bounds: []bound{
			chain("50", "the chain", "pgincr, one full backup").atMost(1.15),
		}},
		{work: "restore in place after 1 % of the pages changed", text: "≤ 0.2 × a plain restore", bounds: []bound{
			chain("9", "in place", "pgincr, one full backup").atMost(0.2).over(comparing),
			chain("50", "in place", "pgincr, one full backup").atMost(0.2).over(comparing),
		}},
		{
			work: "page maps from WAL", text: "≥ 1.2 × `pg_waldump --quiet` on one core, ≥ 2 × with two workers",
			bounds: []bound{maps("1").atLeast(1.2), maps("2").atLeast(2)},
		},
		{work: "archive-push of one 16 MiB segment, map included", text: "≤ 1.5 × `zstd -3` and fsync", bounds: []bound{
			between("wal", archiving, "archive-push", "zstd -3 and fsync").atMost(1.5),
		}},
		{work: "a backlog of WAL", text: "drains at the speed of all cores"},
		{work: "archive-get during recovery", text: "replay never waits on decompression: prefetched"},
		{work: "memory, any size of cluster", text: "≤ 256 MiB at 2 jobs", judge: (*results).mostMemory},
		{
			work: "the server while a backup runs", text: "pgbench loses no more than under pg_basebackup",
			bounds: []bound{load("full", "pgincr"), load("incremental", "pgincr wal")},
		},
		{work: "the page cache is not displaced", text: "cached pages before and after", judge: (*results).cache},
	}
}

// larger is the goal of the scan of pages where there is more to scan than a backup costs anyhow.
func larger(sizes []float64) []bound {
	list := []bound{}
	for _, x := range sizes {
		b := between("scaling", bySizeCurve, "incremental by lsn", "cat of the files").atLeast(3).over(startStop)
		b.at, b.name = x, bySizeCurve
		list = append(list, b)
	}
	return list
}

// judge fills the last two columns of a goal's row: what was reached, and whether it is.
func (r *results) judge(g goal) (reached, verdict string) {
	switch {
	case g.judge != nil:
		return g.judge(r)
	case len(g.bounds) == 0 && g.bounds != nil: // of a curve without points
		return "", notMeasured
	case g.bounds == nil:
		return "measured by `bench/wal`" + walPage(": [there](benchmarks-wal.md)"), ""
	}
	var lines []string
	verdict = "yes"
	for _, b := range g.bounds {
		runs := r.runsOf(b)
		if len(runs[b.side]) == 0 || len(runs[b.to]) == 0 {
			lines = append(lines, fmt.Sprintf("%s beside %s: not measured", b.side, b.to))
			verdict = worse(verdict, notMeasured)
			continue
		}
		x := ratio(runs[b.side], runs[b.to], b.of)
		held := x.mid <= b.limit
		if b.least {
			x = ratio(runs[b.to], runs[b.side], b.of)
			held = x.mid >= b.limit
		}
		mark := ""
		if !held {
			verdict, mark = "**no**", " (missed"+b.besideFloor(runs)+")"
		}
		lines = append(lines, b.line(x)+mark)
	}
	return strings.Join(lines, "<br>"), verdict
}

// runsOf gives the samples of a bound's case, by side.
func (r *results) runsOf(b bound) map[string][]sample {
	_, runs := r.of(b.stage, "pgbench", b.name)
	if b.at == 0 {
		return runs
	}
	for side, all := range runs {
		runs[side] = slices.DeleteFunc(all, func(s sample) bool { return s.More["x"] != b.at })
	}
	return runs
}

// besideFloor says what the floor of a missed goal reaches.
func (b bound) besideFloor(runs map[string][]sample) string {
	switch {
	case b.floor == "" || len(runs[b.floor]) == 0:
		return ""
	case b.least:
		return fmt.Sprintf("; %s alone: %s", b.floor, ratio(runs[b.to], runs[b.floor], b.of))
	}
	return fmt.Sprintf("; %s alone: %s", b.floor, ratio(runs[b.floor], runs[b.to], b.of))
}

func worse(a, b string) string {
	if a == "**no**" {
		return a
	}
	return b
}

func (b bound) line(x spread) string {
	if b.least && b.what == "transactions" {
		return fmt.Sprintf("%s: %s × those under %s", b.name, x, b.side)
	}
	times := "×"
	if b.least {
		times = "× faster than"
	}
	name := b.name
	if b.at != 0 {
		name = fmt.Sprintf("%s: %.4g", name, b.at)
	}
	return fmt.Sprintf("%s, %s, %s: %s %s %s", name, b.side, b.what, x, times, b.to)
}
