package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// render writes the document and its charts from the results.
func render(cfg config) error {
	r, err := load(cfg.results)
	if err != nil {
		return err
	}
	w := &page{r: r, charts: strings.TrimSuffix(cfg.document, ".md")}
	if err := os.RemoveAll(w.charts); err != nil {
		return err
	}
	if err := os.MkdirAll(w.charts, 0o755); err != nil {
		return err
	}
	w.head()
	w.goals()
	w.stages()
	w.curves()
	w.line("%s", strings.TrimSpace(notes))
	if w.err != nil {
		return w.err
	}
	return os.WriteFile(cfg.document, []byte(w.b.String()), 0o644)
}

// page is the document as it grows; its first error ends it.
type page struct {
	r      *results
	charts string // directory
	b      strings.Builder
	err    error
}

func (w *page) line(format string, args ...any) { fmt.Fprintf(&w.b, format+"\n", args...) }

func (w *page) head() {
	a := w.r.About
	w.line("# Benchmarks\n")
	w.line("Written by `bench/peers render` from a run that ended at %s. [How it is measured](#how-it-is-measured)\n"+
		"stands at the end.\n", a["date"])
	w.line("    make benchmarks\n")
	w.line("or, stage by stage, as it was done:\n")
	w.stageCommands()
	w.line("| | |\n|---|---|")
	w.line("| machine | %s, %s CPUs, %s of memory, %s, %s |",
		a["cpu"], a["cpus"], a["memory"], a["kernel"], a["filesystem"])
	w.line("| pgincr | %s, %s, %s jobs |", a["pgincr"], a["go"], a["jobs"])
	w.line("| PostgreSQL | %s |", a["postgresql"])
	w.line("| pgBackRest | %s |", with(a["backrest"], "bundles, block incremental, zstd, no archive check"))
	w.line("| WAL-G | %s |", with(a["walg"], "zstd, deltas by LSN"))
	w.line("| pg_probackup | not in Debian: not measured |\n")
	w.line("By themselves: [the page scan](benchmarks-scan.md)%s.\n",
		walPage(", [page maps and the archive](benchmarks-wal.md)"))
}

// with adds how a tool was used, if it was.
func with(version, how string) string {
	if version == notMeasured {
		return version
	}
	return version + "; " + how
}

// stageCommands prints how each stage was run.
func (w *page) stageCommands() {
	for _, s := range stages {
		if command := w.r.About["command "+s.name]; command != "" {
			w.line("    %s", command)
		}
	}
	w.line("")
}

// walPage is the text if there is that page.
func walPage(text string) string {
	if _, err := os.Stat("docs/benchmarks-wal.md"); err != nil {
		return ""
	}
	return text
}

func (w *page) goals() {
	w.line("## Goals\n")
	w.line("Ratios are medians of the ratios of single runs, with minimum and maximum, on the data set `pgbench`.\n")
	w.line("| work | goal | reached | holds |\n|---|---|---|---|")
	for _, g := range goals(xs(w.r.lines("scaling", "pgbench", bySizeCurve))) {
		reached, verdict := w.r.judge(g)
		w.line("| %s | %s | %s | %s |", g.work, g.text, reached, verdict)
	}
	w.line("")
}

var titles = map[string]string{
	"full": "Full backups", "incremental": "Incremental backups", "restore": "Restores", "wal": "WAL",
	"server": "The server meanwhile", "encryption": "Encryption",
}

func (w *page) stages() {
	for _, s := range stages {
		if s.name == "scaling" || !slices.ContainsFunc(w.r.Samples, func(x sample) bool { return x.Stage == s.name }) {
			continue
		}
		w.line("## %s\n", titles[s.name])
		for _, data := range []string{"pgbench", "documents"} {
			for _, name := range w.r.cases(s.name, data) {
				w.table(s.name, data, name)
			}
			if s.name != "wal" && s.name != "server" && s.name != "encryption" {
				w.bars(s.name, data)
			}
		}
	}
}

// table prints one case, all sides.
func (w *page) table(stage, data, name string) {
	sides, runs := w.r.of(stage, data, name)
	slices.Sort(sides)
	keys := map[string]bool{}
	for _, s := range sides {
		for key := range runs[s][0].More {
			keys[key] = true
		}
	}
	extra := slices.Sorted(func(yield func(string) bool) {
		for key := range keys {
			if !yield(key) {
				return
			}
		}
	})
	w.line("%s, %s, runs: %d\n", strings.ToUpper(data[:1])+data[1:], name, len(runs[sides[0]]))
	w.line("| side | seconds | CPU seconds | MB read | MB written | MB stored | MiB |%s",
		strings.Join(append(extra, ""), " |"))
	w.line("|---|---|---|---|---|---|---|%s", strings.Repeat("---|", len(extra)))
	for _, s := range sides {
		mid := func(of what) float64 { return spreadOf(values(runs[s], of)).mid }
		fmt.Fprintf(&w.b, "| %s | %s | %.2f | %.1f | %.1f | %.1f | %.0f |", s, spreadOf(values(runs[s], wall)), mid(cpu),
			mid(func(s sample) float64 { return mega(s.Read) }), mid(func(s sample) float64 { return mega(s.Written) }),
			mid(stored), mid(memory))
		for _, key := range extra {
			if _, ok := runs[s][0].More[key]; ok {
				fmt.Fprintf(&w.b, " %s |", spreadOf(values(runs[s], more(key))))
			} else {
				fmt.Fprint(&w.b, " |")
			}
		}
		w.line("")
	}
	w.line("")
}

// bars draws the times of all cases of a stage.
func (w *page) bars(stage, data string) {
	var groups []group
	for _, name := range w.r.cases(stage, data) {
		sides, runs := w.r.of(stage, data, name)
		slices.Sort(sides)
		g := group{name: name}
		for _, s := range sides {
			g.bars = append(g.bars, bar{s, spreadOf(values(runs[s], wall))})
		}
		groups = append(groups, g)
	}
	if len(groups) == 0 {
		return
	}
	w.picture(stage+"-"+data, titles[stage]+", "+data+", seconds", barChart(groups))
}

func (w *page) picture(file, title, svg string) {
	path := filepath.Join(w.charts, file+".svg")
	if err := os.WriteFile(path, []byte(svg), 0o644); err != nil && w.err == nil {
		w.err = err
	}
	w.line("![%s](%s/%s.svg)\n", title, filepath.Base(w.charts), file)
}

// curves draws how time and memory grow.
func (w *page) curves() {
	names := w.r.cases("scaling", "pgbench")
	if len(names) == 0 {
		return
	}
	w.line("## How it grows\n")
	w.line("pgincr alone, medians of %d runs (incrementals by length of the chain: one run).\n", curveRuns)
	for i, name := range names {
		lines := w.r.lines("scaling", "pgbench", name)
		w.line("| %s |%s", name, header(lines))
		w.line("|---|%s", strings.Repeat("---|---|", len(lines)))
		for _, x := range xs(lines) {
			fmt.Fprintf(&w.b, "| %.4g |", x)
			for _, l := range lines {
				w.b.WriteString(l.cells(x))
			}
			w.line("")
		}
		w.line("")
		w.picture(fmt.Sprintf("scaling-%d", i+1), name+": seconds and MiB", curveChart(name, lines))
	}
}
