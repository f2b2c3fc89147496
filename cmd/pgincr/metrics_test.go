package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/pgincr/pgincr/pkg/check"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// The example rules are YAML and speak of metrics that there are, each in a rule or told of in the documents.
func TestAlertRules(t *testing.T) {
	rules, err := os.ReadFile("../../etc/prometheus/pgincr.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Summary string }
			}
		}
	}
	if err := yaml.Unmarshal(rules, &doc); err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`pgincr_\w+`)
	for _, g := range doc.Groups {
		for _, r := range g.Rules {
			found := name.FindAllString(r.Expr, -1)
			if len(found) == 0 || r.Annotations.Summary == "" {
				t.Errorf("%s: %q, %q", r.Alert, r.Expr, r.Annotations.Summary)
			}
			for _, f := range found {
				if _, ok := metricHelp()[f]; !ok {
					t.Errorf("%s: there is no %q in %s", r.Alert, f, r.Expr)
				}
			}
		}
	}
	for family := range metricHelp() {
		if !strings.Contains(string(manual), "`"+family+"`") {
			t.Errorf("docs/cli.md does not tell of %s", family)
		}
	}
}

// metricsOf writes the metrics of a cluster over what path has, and gives the file.
func metricsOf(t *testing.T, c *repo.Cluster, path string) string {
	t.Helper()
	p := newProgram(os.Stderr, os.Stderr)
	p.common, p.clusters = &commonFlags{Cluster: "main", MetricsFile: path}, []openedCluster{{"/r", c}}
	p.checked = []check.Finding{{Name: "chain", Status: check.Warning}}
	return metricsWritten(t, p)
}

// metricsWritten has a program write its metrics, and gives the file.
func metricsWritten(t *testing.T, p *program) string {
	t.Helper()
	if err := p.writeMetrics(t.Context(), outcome{command: "check"}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(p.common.MetricsFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A command with one repository leaves what commands with several said of the others, and nothing old of its own.
func TestMetricsOfOneOfSeveral(t *testing.T) {
	info := repo.ClusterInfo{Name: "main", SystemIdentifier: 7, PGVersion: 150018, Geometry: pg.DefaultGeometry()}
	path := filepath.Join(t.TempDir(), "main.prom")
	stores := map[string]*repo.Cluster{}
	for _, url := range []string{"/a", "/b"} {
		c, _, err := repo.Init(t.Context(), storetest.NewMemory(), info)
		if err != nil {
			t.Fatal(err)
		}
		stores[url] = c
	}
	storeBackup(t, stores["/b"], "20261101T000000Z-F", "")
	write := func(urls ...string) string {
		t.Helper()
		p := newProgram(os.Stderr, os.Stderr)
		p.common = &commonFlags{Cluster: "main", MetricsFile: path, Repos: urls}
		for _, url := range urls {
			p.clusters = append(p.clusters, openedCluster{url, stores[url]})
		}
		return metricsWritten(t, p)
	}
	const ofA = `pgincr_backups{cluster="main",repo="/a",status="ok"} 0`
	const ofB = `pgincr_backups{cluster="main",repo="/b",status="ok"} 1`
	if text := write("/a", "/b"); !strings.Contains(text, ofA) || !strings.Contains(text, ofB) {
		t.Errorf("of both:\n%s", text)
	}
	storeBackup(t, stores["/a"], "20261101T000000Z-F", "")
	text := write("/a")
	if !strings.Contains(text, `pgincr_backups{cluster="main",status="ok"} 1`) || !strings.Contains(text, ofB) ||
		strings.Contains(text, `repo="/a"`) {
		t.Errorf("then of the first alone:\n%s", text)
	}
	if text := write("/a", "/b"); strings.Contains(text, `pgincr_backups{cluster="main",status`) {
		t.Errorf("then of both again:\n%s", text)
	}
}

// storeBackup commits a backup without files.
func storeBackup(t *testing.T, c *repo.Cluster, id, parent string) {
	t.Helper()
	begun, kind, err := repo.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.CreateBackup(t.Context(), id, repo.Compression{})
	if err == nil {
		err = b.PutControl(t.Context(), make([]byte, pg.ControlFileSize))
	}
	if err != nil {
		t.Fatal(err)
	}
	m := &repo.Manifest{
		ID: id, Cluster: c.Info.Name, Type: kind, Parent: parent, Status: repo.StatusOK, Timeline: 1, Version: "test",
		StartLSN: 0x2000028, StopLSN: 0x2000100, StartedAt: begun, FinishedAt: begun.Add(time.Minute),
		SystemIdentifier: c.Info.SystemIdentifier, PGVersion: c.Info.PGVersion, Geometry: c.Info.Geometry,
		WAL: repo.WALNeed{Mode: repo.WALArchived, Segments: []string{"000000010000000000000002"}},
	}
	if kind == repo.TypeIncremental {
		m.PageMap.Source = "wal"
	}
	if err := b.Commit(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// What is written are the families that have a help text, all of them. A drill that cannot be read is not good, and
// what there is no more of does not stay.
func TestMetricsOfCluster(t *testing.T) {
	info := repo.ClusterInfo{Name: "main", SystemIdentifier: 7, PGVersion: 150018, Geometry: pg.DefaultGeometry()}
	st := storetest.NewMemory()
	c, _, err := repo.Init(t.Context(), st, info)
	if err != nil {
		t.Fatal(err)
	}
	const full = "20261101T000000Z-F"
	storeBackup(t, c, full, "")
	storeBackup(t, c, "20261102T000000Z-I", full)
	d := &repo.Drill{
		Backup: full, Result: repo.DrillOK, RecoverySeconds: 90, Reached: &repo.Reached{LSN: 1, Timeline: 1},
		StartedAt: time.Unix(1_790_000_000, 0), FinishedAt: time.Unix(1_790_000_100, 0),
	}
	if err := c.PutDrill(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.prom")
	text := metricsOf(t, c, path)
	var written []string
	for _, line := range regexp.MustCompile(`(?m)^# HELP (\w+) .`).FindAllStringSubmatch(text, -1) {
		written = append(written, line[1])
	}
	slices.Sort(written)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(metricHelp())), written); diff != "" {
		t.Error(diff)
	}
	wants := func(text string, samples ...string) {
		t.Helper()
		for _, want := range samples {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
	}
	wants(text, `pgincr_drill_ok{cluster="main"} 1`, `pgincr_chain_length{cluster="main"} 2`)
	st.Damage("main/drills/"+d.ID+".json", []byte("{}"))
	wants(metricsOf(t, c, path), `pgincr_drill_ok{cluster="main"} 0`, `pgincr_drill_recovery_seconds{cluster="main"} 90`)

	empty, _, err := repo.Init(t.Context(), storetest.NewMemory(), info)
	if err != nil {
		t.Fatal(err)
	}
	text = metricsOf(t, empty, path)
	wants(text, `pgincr_backups{cluster="main",status="ok"} 0`)
	for _, gone := range []string{"pgincr_drill_", "pgincr_backup_", "pgincr_chain_length"} {
		if strings.Contains(text, gone) {
			t.Errorf("%s is still in\n%s", gone, text)
		}
	}
}

// What a command leaves in the file of other commands, other clusters and of what it does not know anew.
func TestMetricsOfOthersStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.prom")
	at := time.Unix(1_790_000_000, 0)
	write := func(cluster, command string) string {
		p := newProgram(os.Stderr, os.Stderr)
		p.common = &commonFlags{Cluster: cluster, MetricsFile: path}
		o := outcome{command: command, begun: at, took: 1500 * time.Millisecond}
		if err := p.writeMetrics(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	old := "# a comment\nforeign{cluster=\"main\"} 1\npgincr_chain_length{cluster=\"main\"} 7\n"
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	write("main", "backup")
	write(`h"r`, "backup")
	write("main", "check")
	at = at.Add(time.Hour)
	text := write("main", "backup")
	for _, want := range []string{
		`pgincr_chain_length{cluster="main"} 7`,
		`pgincr_run_timestamp_seconds{cluster="main",command="backup"} 1790003601.5`,
		`pgincr_run_timestamp_seconds{cluster="main",command="check"} 1790000001.5`,
		`pgincr_run_timestamp_seconds{cluster="h\"r",command="backup"} 1790000001.5`,
	} {
		if strings.Count(text, want+"\n") != 1 {
			t.Errorf("not once: %s in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "pgincr_run_exit_code{"); n != 3 || strings.Contains(text, "foreign") {
		t.Errorf("%d exit codes in\n%s", n, text)
	}
	if n := strings.Count(text, "# TYPE pgincr_run_exit_code gauge\n"); n != 1 {
		t.Errorf("%d types in\n%s", n, text)
	}
}
