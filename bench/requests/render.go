package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed document.md.tmpl
var document string

// render writes the document.
func (s *site) render(ctx context.Context, path string, rows []row) error {
	version, err := s.sql(ctx, "SHOW server_version")
	if err != nil {
		return err
	}
	version, _, _ = strings.Cut(version, " ")
	t, err := template.New("document").Parse(document)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Kinds": kindNames, "Rows": cells(rows), "PostgreSQL": version,
		"Backups": number(int64(s.filled.backups)), "Segments": number(int64(s.filled.segments)),
		"PerDay": number(int64(s.filled.perDay)), "Maps": number(int64(s.filled.maps)),
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// cells gives the lines of the table.
func cells(rows []row) (lines []string) {
	for _, r := range rows {
		line := "| " + r.name + " |"
		for _, n := range r.requests {
			if n == 0 {
				line += " |"
			} else {
				line += " " + number(int64(n)) + " |"
			}
		}
		lines = append(lines, line+fmt.Sprintf(" %s | %s | %s |", number(int64(r.total())), size(r.sent), size(r.received)))
	}
	return lines
}

// number writes thousands apart.
func number(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return number(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

// size writes bytes with three digits at most.
func size(n int64) string {
	const k = 1000
	switch {
	case n == 0:
		return "0"
	case n < k:
		return fmt.Sprintf("%d B", n)
	case n < 100*k:
		return fmt.Sprintf("%.1f kB", float64(n)/k)
	case n < k*k:
		return fmt.Sprintf("%d kB", n/k)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/k/k)
}

// objects counts what lies below a directory of the repository.
func (s *site) objects(dir string) (n int, err error) {
	err = filepath.WalkDir(filepath.Join(s.entry(), dir), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	return n, err
}
