package pgtest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Oldest and Latest are the majors that pgincr supports.
const (
	Oldest = 13
	Latest = 18
)

const installHint = "run tools/postgres/install.sh"

// Versions returns what is installed, oldest first. PGINCR_TEST_PG narrows it
// and makes it a demand: a major named there and not found fails the test.
func Versions(t testing.TB) []Install {
	t.Helper()
	found := find(searchPath())
	wanted, demanded, err := parseWanted(os.Getenv("PGINCR_TEST_PG"))
	if err != nil {
		t.Fatalf("PGINCR_TEST_PG: %v", err)
	}
	if demanded && len(wanted) == 0 {
		t.Skip("PGINCR_TEST_PG=none")
	}
	var installs []Install
	var missing []string
	for _, major := range wanted {
		if install, ok := found[major]; ok {
			installs = append(installs, install)
		} else {
			missing = append(missing, strconv.Itoa(major))
		}
	}
	switch {
	case len(missing) > 0 && demanded:
		t.Fatalf("PostgreSQL %s not found: %s", strings.Join(missing, ", "), installHint)
	case len(installs) == 0:
		t.Fatalf("no PostgreSQL found: %s, or set PGINCR_TEST_PG=none", installHint)
	case len(missing) > 0:
		NotTested(t, "on PostgreSQL %s, which is not installed: %s", strings.Join(missing, ", "), installHint)
	}
	return installs
}

// NotTested says what a test leaves out, also where nobody asked for the log of tests that pass.
func NotTested(t testing.TB, format string, args ...any) {
	t.Helper()
	notice := fmt.Sprintf("%s: NOT TESTED "+format, append([]any{t.Name()}, args...)...)
	t.Log(notice)
	fmt.Fprintln(os.Stderr, notice)
}

// AsRoot leaves the rest of a test out, and says so, where it is not root that runs it. CI is root.
func AsRoot(t testing.TB, what string) {
	t.Helper()
	if os.Geteuid() != 0 {
		NotTested(t, "without root: %s", what)
		t.SkipNow()
	}
}

// Newest returns the newest of Versions.
func Newest(t testing.TB) Install {
	t.Helper()
	installs := Versions(t)
	return installs[len(installs)-1]
}

// ForEach runs test as subtests pg13, pg14, … on all of Versions.
func ForEach(t *testing.T, test func(t *testing.T, install Install)) {
	t.Helper()
	for _, install := range Versions(t) {
		t.Run(install.String(), func(t *testing.T) { test(t, install) })
	}
}

// ForEnds is ForEach on the oldest and the newest major, for what hardly depends on the version: the others would
// cost CI more minutes than they find faults.
func ForEnds(t *testing.T, test func(t *testing.T, install Install)) {
	t.Helper()
	all := Versions(t)
	for i, install := range all {
		if i == 0 || i == len(all)-1 {
			t.Run(install.String(), func(t *testing.T) { test(t, install) })
		}
	}
}

// parseWanted reads PGINCR_TEST_PG. Empty asks for all majors without demanding
// them.
func parseWanted(s string) (majors []int, demanded bool, err error) {
	switch s {
	case "none":
		return nil, true, nil
	case "", "all":
		for major := Oldest; major <= Latest; major++ {
			majors = append(majors, major)
		}
		return majors, s == "all", nil
	}
	set := map[int]bool{}
	for word := range strings.SplitSeq(s, ",") {
		major, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || major < Oldest || major > Latest {
			return nil, false, fmt.Errorf("%q is not a major from %d to %d", word, Oldest, Latest)
		}
		set[major] = true
	}
	return slices.Sorted(maps.Keys(set)), true, nil
}

// searchPath lists the directories that hold installs, the preferred one first.
func searchPath() []string {
	var path []string
	if root := os.Getenv("PGINCR_PG_ROOT"); root != "" {
		path = append(path, root)
	}
	if os.Geteuid() != 0 {
		// Root's home is closed to the user that runs the servers.
		if home, err := os.UserHomeDir(); err == nil {
			path = append(path, filepath.Join(home, ".cache/pgincr/postgres"))
		}
	}
	return append(path, "/var/cache/pgincr/postgres", "/usr/lib/postgresql")
}

// find looks for installs: DIR/17/bin/postgres.
func find(path []string) map[int]Install {
	found := map[int]Install{}
	for _, dir := range path {
		for major := Oldest; major <= Latest; major++ {
			install := Install{Major: major, BinDir: filepath.Join(dir, strconv.Itoa(major), "bin")}
			_, known := found[major]
			if _, ok := install.Tool("postgres"); ok && !known {
				found[major] = install
			}
		}
	}
	return found
}
