package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// The example rules are YAML and speak of metrics that there are, each in a rule or told of in the documents.
func TestAlertRules(t *testing.T) {
	rules, err := os.ReadFile("../../etc/prometheus/pgincr.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
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
	for _, r := range doc.Groups[0].Rules {
		found := name.FindString(r.Expr)
		if _, ok := metricHelp()[found]; !ok {
			t.Errorf("%s: there is no %q in %s", r.Alert, found, r.Expr)
		}
	}
	for family := range metricHelp() {
		if !strings.Contains(string(manual), "`"+family+"`") {
			t.Errorf("docs/cli.md does not tell of %s", family)
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
