package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/matrix"
	"github.com/pgincr/pgincr/internal/pgtest"
)

// matrixFile is where results are collected (make matrix), "" otherwise. Tests then do more than in CI: they play on
// every major, by every source, and restore every link.
func matrixFile() string { return os.Getenv("PGINCR_MATRIX") }

// wide says whether results are collected.
func wide() bool { return matrixFile() != "" }

// widely gives the page map sources of a major to play a scenario by: in CI those that say which they are, for the
// matrix "auto" too.
func widely(major int) []string {
	if wide() {
		return append(allSources(major), "auto")
	}
	return allSources(major)
}

// forMatrix runs a test on all majors for the matrix, on the newest in CI.
func forMatrix(t *testing.T, test func(t *testing.T, install pgtest.Install)) {
	t.Helper()
	if wide() {
		pgtest.ForEach(t, test)
		return
	}
	test(t, pgtest.Newest(t))
}

// forEnds runs a test on all majors for the matrix, on the oldest and the newest in CI.
func forEnds(t *testing.T, test func(t *testing.T, install pgtest.Install)) {
	t.Helper()
	if wide() {
		pgtest.ForEach(t, test)
		return
	}
	pgtest.ForEnds(t, test)
}

// plays says that a test plays scenarios (internal/matrix) on a major by some sources. What is noted at its end is
// how the test ended.
func plays(t testing.TB, install pgtest.Install, sources []string, scenarios ...string) {
	t.Helper()
	note(t, install, false, sources, scenarios)
}

// note is plays, also for backups that are taken from a standby.
func note(t testing.TB, install pgtest.Install, standby bool, sources, scenarios []string) {
	t.Helper()
	if !wide() {
		return
	}
	version, err := exec.Command(filepath.Join(install.BinDir, "postgres"), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(version)) // postgres (PostgreSQL) 15.14 (Debian …)
	t.Cleanup(func() {
		for _, scenario := range slices.Compact(scenarios) {
			for _, source := range sources {
				err := matrix.Append(matrixFile(), matrix.Result{
					Scenario: scenario, Major: install.Major, Version: words[2], Source: source, Standby: standby,
					Passed: !t.Failed() && !t.Skipped(), Test: t.Name(),
				})
				if err != nil {
					t.Error(err)
				}
			}
		}
	})
}
