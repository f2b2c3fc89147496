package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pgincr/pgincr/internal/durable"
	"github.com/pgincr/pgincr/pkg/check"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

// metrics collects samples in Prometheus' text format, by families.
type metrics struct {
	families []string                   // in the order of their first samples
	samples  map[string][]string        // by family
	labels   string                     // of every sample: the cluster
	repo     string                     // label of samples that are of one of several repositories, or ""
	anew     map[string]map[string]bool // by family, the labels repo under which it is known anew
	only     string                     // label that the only repository has in files of a command with several
}

func newMetrics(cluster string) *metrics {
	return &metrics{
		samples: map[string][]string{}, anew: map[string]map[string]bool{}, labels: "cluster=" + metricQuote(cluster),
	}
}

// of gives samples that are added from here on the repository; "": they are of the only one, or of none.
func (m *metrics) of(url string) *metrics {
	m.repo = ""
	if url != "" {
		m.repo = ",repo=" + metricQuote(url)
	}
	return m
}

// metricHelp describes every family.
func metricHelp() map[string]string {
	return map[string]string{
		"pgincr_run_timestamp_seconds":    "When a command last ended.",
		"pgincr_run_duration_seconds":     "How long it took.",
		"pgincr_run_exit_code":            "Its exit code.",
		"pgincr_check_status":             "Verdicts of pgincr check: 0 ok, 1 warning, 2 critical.",
		"pgincr_backups":                  "Backups by status.",
		"pgincr_backup_timestamp_seconds": "When the newest backup of a type ended.",
		"pgincr_backup_duration_seconds":  "How long it took.",
		"pgincr_backup_size_bytes":        "The cluster as that backup restores it.",
		"pgincr_backup_stored_bytes":      "What that backup stores.",
		"pgincr_backup_blocks":            "Blocks of the cluster at that backup.",
		"pgincr_backup_blocks_stored":     "Blocks that it stores.",
		"pgincr_backup_corrupt_pages":     "Pages that were corrupt when it was taken.",
		"pgincr_backup_page_map":          "Where the newest incremental backup had its changed pages from.",
		"pgincr_chain_length":             "Backups in the chain of the newest one.",
		"pgincr_wal_gap_segments":         "Segments that are missing in the archived WAL.",
		"pgincr_drill_timestamp_seconds":  "When the newest drill ended.",
		"pgincr_drill_recovery_seconds":   "How long its recovery took, from the beginning of the restore.",
		"pgincr_drill_ok":                 "Whether it was good, as far as its document can be read.",
	}
}

const runFamily = "pgincr_run_"

// add adds a sample. labels are pairs of names and values.
func (m *metrics) add(family string, value float64, labels ...string) {
	m.learn(family)
	text := m.labels + m.repo
	for i := 0; i+1 < len(labels); i += 2 {
		text += "," + labels[i] + "=" + metricQuote(labels[i+1])
	}
	m.keep(family, fmt.Sprintf("%s{%s} %s", family, text, strconv.FormatFloat(value, 'f', -1, 64)))
}

func (m *metrics) keep(family, sample string) {
	if _, ok := m.samples[family]; !ok {
		m.families = append(m.families, family)
	}
	m.samples[family] = append(m.samples[family], sample)
}

// learn says that families are known anew: there is nothing of them but what was and will be added.
func (m *metrics) learn(families ...string) {
	for _, f := range families {
		if m.anew[f] == nil {
			m.anew[f] = map[string]bool{}
		}
		m.anew[f][m.repo] = true
	}
}

// learnAll does so for all families with a prefix.
func (m *metrics) learnAll(prefix string) {
	for _, f := range slices.Sorted(maps.Keys(metricHelp())) {
		if strings.HasPrefix(f, prefix) {
			m.learn(f)
		}
	}
}

// metricQuote writes a label's value.
func metricQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// write prints all families.
func (m *metrics) write(w io.Writer) error {
	help := metricHelp()
	for _, f := range m.families {
		if len(m.samples[f]) == 0 {
			continue
		}
		_, err := fmt.Fprintf(w, "# HELP %s %s\n# TYPE %[1]s gauge\n%[3]s\n", f, help[f], strings.Join(m.samples[f], "\n"))
		if err != nil {
			return err
		}
	}
	return nil
}

// writeMetrics replaces the file for Prometheus' node exporter. What it held of other clusters, and of other commands
// of this one, stays.
func (p *program) writeMetrics(ctx context.Context, o outcome) error {
	path := p.common.MetricsFile
	if path == "" {
		return nil
	}
	m := newMetrics(p.common.Cluster)
	m.add(runFamily+"timestamp_seconds", float64(o.begun.Add(o.took).UnixMilli())/1000, "command", o.command)
	m.add(runFamily+"duration_seconds", o.took.Seconds(), "command", o.command)
	m.add(runFamily+"exit_code", float64(exitCode(o.err, false)), "command", o.command)
	for _, f := range p.checked {
		if state, ok := checkState(f.Status); ok {
			m.of(f.Repo).add("pgincr_check_status", state, "check", f.Name)
		}
	}
	var err error
	if len(p.common.Repos) == 1 {
		m.only = ",repo=" + metricQuote(repoName(p.common.Repos[0]))
	}
	for _, o := range p.clusters { // of the others the command has said why not
		err = errors.Join(err, m.of(p.common.label(o.repo)).addCluster(ctx, o.cluster))
	}
	if kerr := m.keepOld(path, o.command); kerr != nil {
		err = errors.Join(err, kerr)
	} else {
		err = errors.Join(err, durable.WriteFile(path, 0o644, m.write))
	}
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// checkState numbers a verdict.
func checkState(s check.Status) (state float64, ok bool) {
	switch s {
	case check.OK:
		return 0, true
	case check.Warning:
		return 1, true
	case check.Critical:
		return 2, true
	case check.Skipped:
	}
	return 0, false
}

// addCluster adds what the repository tells.
func (m *metrics) addCluster(ctx context.Context, c *repo.Cluster) error {
	all, err := c.Backups(ctx)
	if err != nil {
		return err
	}
	count := map[string]int{}
	ofType := map[string][]*repo.Manifest{}
	for _, b := range all {
		count[b.Status]++
		ofType[b.Type] = append(ofType[b.Type], b)
	}
	m.learnAll("pgincr_backup")
	for _, status := range []string{repo.StatusOK, repo.StatusBroken} {
		m.add("pgincr_backups", float64(count[status]), "status", status)
	}
	for _, kind := range []string{repo.TypeFull, repo.TypeIncremental} {
		if b := check.Newest(ofType[kind]); b != nil {
			m.addBackup(b)
		}
	}
	return errors.Join(m.addChain(ctx, c, check.Newest(all)), m.addGaps(ctx, c, all), m.addDrill(ctx, c))
}

// addChain adds the length of the newest backup's chain.
func (m *metrics) addChain(ctx context.Context, c *repo.Cluster, last *repo.Manifest) error {
	const family = "pgincr_chain_length"
	if last == nil {
		m.learn(family)
		return nil
	}
	chain, err := c.Chain(ctx, last)
	if err == nil {
		m.add(family, float64(len(chain)))
	}
	return err
}

func (m *metrics) addBackup(b *repo.Manifest) {
	for _, v := range []struct {
		name  string
		value float64
	}{
		{"timestamp_seconds", float64(b.FinishedAt.UnixMilli()) / 1000},
		{"duration_seconds", b.FinishedAt.Sub(b.StartedAt).Seconds()},
		{"size_bytes", float64(b.SizeBytes)},
		{"stored_bytes", float64(b.StoredBytes)},
		{"blocks", float64(b.BlocksTotal)},
		{"blocks_stored", float64(b.BlocksStored)},
		{"corrupt_pages", float64(len(b.CorruptPages))},
	} {
		m.add("pgincr_backup_"+v.name, v.value, "type", b.Type)
	}
	if b.Type == repo.TypeIncremental {
		m.add("pgincr_backup_page_map", 1, "source", b.PageMap.Source)
	}
}

// addGaps adds the missing WAL, which a key for backups only may be unable to tell.
func (m *metrics) addGaps(ctx context.Context, c *repo.Cluster, all []*repo.Manifest) error {
	_, gaps, err := restore.Windows(ctx, c, all)
	var key *repo.KeyError
	if errors.As(err, &key) {
		return nil
	}
	var segments uint64
	for _, g := range gaps {
		if !g.Expired {
			segments += g.Segments
		}
	}
	if err == nil {
		m.add("pgincr_wal_gap_segments", float64(segments))
	}
	return err
}

func (m *metrics) addDrill(ctx context.Context, c *repo.Cluster) error {
	drills, err := c.Drills(ctx, 1)
	if err != nil {
		return err
	}
	if len(drills) == 0 {
		m.learnAll("pgincr_drill_")
		return nil
	}
	d := drills[0]
	good := 0.0
	if d.Result == repo.DrillOK {
		good = 1
	}
	m.add("pgincr_drill_ok", good)
	if d.Result != repo.DrillBroken { // which tells nothing more
		m.add("pgincr_drill_timestamp_seconds", float64(d.FinishedAt.UnixMilli())/1000)
		m.add("pgincr_drill_recovery_seconds", d.RecoverySeconds)
	}
	return nil
}

// maxMetrics bounds what is read of an old file.
const maxMetrics = 16 << 20

// keepOld takes over samples of an old file: of other clusters all, of this one how other commands ended, and what is
// not known anew.
func (m *metrics) keepOld(path, command string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxMetrics+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if len(b) > maxMetrics {
		return fmt.Errorf("%s: larger than %d bytes", path, maxMetrics)
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		family, labels, ok := strings.Cut(line, "{")
		if _, known := metricHelp()[family]; !ok || !known {
			continue // comments, and what is not of pgincr
		}
		rest, mine := strings.CutPrefix(labels, m.labels)
		mine = mine && strings.IndexAny(rest, ",}") == 0
		replaced := strings.Contains(labels, ",command="+metricQuote(command)+"}")
		if !mine || !replaced && !m.knows(family, rest) {
			m.keep(family, line)
		}
	}
	return nil
}

// knows says whether a sample of this cluster is known anew. labels are those that follow the cluster's. What is of no
// repository is of the only one there was; what is of another than the only one there is stays.
func (m *metrics) knows(family, labels string) bool {
	if strings.HasPrefix(family, runFamily) {
		return false
	}
	for label := range m.anew[family] {
		if label == "" {
			label = m.only
		}
		if !strings.HasPrefix(labels, ",repo=") || label != "" && strings.HasPrefix(labels, label) {
			return true
		}
	}
	return false
}
