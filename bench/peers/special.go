package main

import (
	"fmt"
	"strings"
)

func (r *results) bytesRead() (reached, verdict string) {
	var lines []string
	verdict = "yes"
	_, empty := r.of("incremental", "pgbench", "nothing changed")
	small := spreadOf(values(empty["pgincr wal"], more("MB read of data")))
	for _, c := range changes()[1:] {
		_, runs := r.of("incremental", "pgbench", c.name)
		if len(runs["pgincr wal"]) == 0 || len(empty["pgincr wal"]) == 0 {
			return "", notMeasured
		}
		read := spreadOf(values(runs["pgincr wal"], more("MB read of data")))
		pages := spreadOf(values(runs["pgincr wal"], more("pages stored"))).mid * 8192 / 1e6
		before := spreadOf(values(empty["pgincr wal"], more("pages stored"))).mid * 8192 / 1e6
		x := (read.mid - small.mid) / max(pages-before, 0.001)
		if x > 2 {
			verdict = "**no**"
		}
		lines = append(lines, fmt.Sprintf("%s: %.1f MB, %.1f of it also with nothing changed; the rest is %.2f × the change",
			c.name, read.mid, small.mid, x))
	}
	return strings.Join(lines, "<br>"), verdict
}

func (r *results) mostMemory() (reached, verdict string) {
	var most sample
	for _, s := range r.Samples {
		ours := strings.HasPrefix(s.Side, "pgincr") || s.Stage == "scaling" || strings.HasPrefix(s.Side, "archive-")
		if ours && s.Memory > most.Memory {
			most = s
		}
	}
	if most.Memory == 0 {
		return "", notMeasured
	}
	verdict = "yes"
	if memory(most) > 256 {
		verdict = "**no**"
	}
	return fmt.Sprintf("at most %.0f MiB: %s, %s, %s", memory(most), most.Stage, most.Case, most.Side), verdict
}

func (r *results) cache() (reached, verdict string) {
	var lines []string
	verdict = "yes"
	for _, name := range []string{"page cache, full", "page cache, incremental"} {
		sides, runs := r.of("server", "pgbench", name)
		for _, s := range sides {
			x := runs[s][0].More
			grown := x["MB cached after"] - x["MB cached before"]
			lines = append(lines, fmt.Sprintf("%s, %s: %.0f MB before, %.0f after", strings.TrimPrefix(name, "page cache, "), s,
				x["MB cached before"], x["MB cached after"]))
			if all := float64(runs[s][0].Read) / 1e6; strings.HasPrefix(s, "pgincr") && (grown > 0.1*all || grown < -1) {
				verdict = "**no**"
			}
		}
	}
	if len(lines) == 0 {
		return "", notMeasured
	}
	return strings.Join(lines, "<br>"), verdict
}
