package tidy

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the top of the module, seen from this package.
const root = "../.."

// file is one text file of the repository, its path with slashes from the top.
type file struct {
	path    string
	content string
}

func (f file) lines() []string { return strings.Split(strings.TrimSuffix(f.content, "\n"), "\n") }

// files gives the repository's files whose names end in one of the suffixes.
func files(t *testing.T, suffixes ...string) []file {
	t.Helper()
	var out []file
	skip := []string{".git", "bin", "dist", "testdata", "node_modules"}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(skip, d.Name()):
			return filepath.SkipDir
		case !d.Type().IsRegular() || !slices.ContainsFunc(suffixes, func(s string) bool {
			return strings.HasSuffix(path, s)
		}):
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		out = append(out, file{filepath.ToSlash(rel), string(content)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatalf("no files end in %q", suffixes)
	}
	return out
}

// exists tells whether a path from the top is there.
func exists(path string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(path)))
	return err == nil
}
