package matrix_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/matrix"
)

// all is a record in which every scenario has passed.
func all(t *testing.T) (results []matrix.Result) {
	t.Helper()
	for range 2 {
		var open []string
		if _, open = matrix.Table(results, 13, 18); len(results) > 0 {
			if len(open) > 0 {
				t.Fatal(open)
			}
			return results
		}
		for _, line := range open {
			r := matrix.Result{Passed: true, Standby: strings.Contains(line, "on a standby")}
			words := strings.Fields(line)
			r.Scenario, r.Source = words[1], words[5]
			r.Major = map[string]int{"13": 13, "14": 14, "15": 15, "16": 16, "17": 17, "18": 18}[words[3]]
			results = append(results, r)
		}
	}
	return nil
}

// A table is green only if everything was played and has passed, each time.
func TestTable(t *testing.T) {
	good := all(t)
	path := filepath.Join(t.TempDir(), "results")
	for _, r := range good {
		if err := matrix.Append(path, r); err != nil {
			t.Fatal(err)
		}
	}
	read, err := matrix.Read(path)
	if err != nil || len(read) != len(good) || read[7] != good[7] {
		t.Fatalf("read %d of %d results, %v", len(read), len(good), err)
	}
	for what, results := range map[string][]matrix.Result{
		"was not played": good[1:],
		"failed":         append([]matrix.Result{{Scenario: "1", Major: 13, Source: "wal", Test: "TestOther"}}, good...),
		"is in no list":  append([]matrix.Result{{Scenario: "99", Major: 13, Source: "wal", Passed: true}}, good...),
	} {
		text, open := matrix.Table(results, 13, 18)
		if len(open) != 1 || !strings.Contains(open[0], what) {
			t.Errorf("want one that %s, got %q", what, open)
		}
		if strings.Count(text, "\n") < 50 {
			t.Errorf("a short table:\n%s", text)
		}
	}
}

// Numbers are there once.
func TestScenarios(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range matrix.Scenarios() {
		if seen[s.ID] || s.Title == "" {
			t.Errorf("scenario %s is there twice or has no title", s.ID)
		}
		seen[s.ID] = true
	}
}
