package storagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// find gives a program that tools/storage/install.sh built.
func find(t testing.TB, name string) string {
	t.Helper()
	var path []string
	if root := os.Getenv("PGINCR_STORAGE_ROOT"); root != "" {
		path = append(path, root)
	}
	if home, err := os.UserHomeDir(); err == nil {
		path = append(path, filepath.Join(home, ".cache/pgincr/storage"))
	}
	for _, dir := range append(path, "/var/cache/pgincr/storage") {
		if program := filepath.Join(dir, name); isProgram(program) {
			return program
		}
	}
	Missing(t, name, "run tools/storage/install.sh")
	return ""
}

// isProgram says whether a file can be run.
func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Missing ends a test that lacks a program: it fails where nothing may be left out.
func Missing(t testing.TB, name, hint string) {
	t.Helper()
	if os.Getenv("PGINCR_TEST_PG") == "all" {
		t.Fatalf("%s not found: %s", name, hint)
	}
	notice := fmt.Sprintf("%s: NOT TESTED, because %s is not installed: %s", t.Name(), name, hint)
	fmt.Fprintln(os.Stderr, notice)
	t.Skip(notice)
}
