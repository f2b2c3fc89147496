package tidy

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// prose gives the lines of a document, those of code blocks left empty.
func prose(f file) []string {
	lines := f.lines()
	fence := ""
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence == "" && (strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~")):
			fence = trimmed[:3]
		case fence != "" && strings.HasPrefix(trimmed, fence):
			fence = ""
		case fence == "":
			continue
		}
		lines[i] = ""
	}
	return lines
}

// A document has one title: its first line.
func TestDocumentsHaveOneTitle(t *testing.T) {
	for _, f := range files(t, ".md") {
		titles := 0
		for _, line := range prose(f) {
			if strings.HasPrefix(line, "# ") {
				titles++
			}
		}
		if titles != 1 || !strings.HasPrefix(f.content, "# ") {
			t.Errorf("%s: %d titles, want one, on the first line", f.path, titles)
		}
	}
}

// What a document points to is there: relative links lead to files.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)
	for _, f := range files(t, ".md") {
		for i, line := range prose(f) {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if to := path.Join(path.Dir(f.path), m[1]); !exists(to) {
					t.Errorf("%s:%d: %s is not there", f.path, i+1, to)
				}
			}
		}
	}
}

// The documents that explain the house name rooms and things that are in it: code in
// backticks that looks like an identifier or a path of this module exists.
func TestNamedCodeExists(t *testing.T) {
	declared := names(t)
	code := regexp.MustCompile("`([^`]+)`")
	identifier := regexp.MustCompile(`^([a-z]+)\.([A-Z]\w*)(\.\w+)?$`)
	place := regexp.MustCompile(`^(pkg|cmd|internal|e2e|bench|docs|tools|\.ci)/[\w./-]*$`)
	for _, f := range files(t, "ARCHITECTURE.md", "README.md", "CONTRIBUTING.md") {
		for i, line := range prose(f) {
			for _, m := range code.FindAllStringSubmatch(line, -1) {
				name := strings.TrimSuffix(m[1], "()")
				if id := identifier.FindStringSubmatch(name); id != nil && declared[id[1]] && !declared[name] {
					t.Errorf("%s:%d: nothing is called %s", f.path, i+1, name)
				}
				if place.MatchString(name) && !exists(name) {
					t.Errorf("%s:%d: %s is not there", f.path, i+1, name)
				}
			}
		}
	}
}

// Every hazard of page LSNs has its row in docs/hazards.md, and a test that is there.
func TestHazardsAreHeld(t *testing.T) {
	declared := map[string]bool{}
	for _, f := range files(t, "_test.go") {
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(f.content, -1) {
			declared[m[1]] = true
		}
	}
	inAll := "" // what TestHazards of e2e plays
	for _, f := range files(t, "_test.go") {
		if path.Dir(f.path) == "e2e" && strings.HasPrefix(path.Base(f.path), "hazards_") {
			inAll += f.content
		}
	}
	row := regexp.MustCompile(`(?m)^\| (L\d+) \|.*\| ([^|]+) \|$`)
	rows := row.FindAllStringSubmatch(files(t, "docs/hazards.md")[0].content, -1)
	for i, r := range rows {
		if want := "L" + strconv.Itoa(i+1); r[1] != want {
			t.Fatalf("row %s, want %s", r[1], want)
		}
		tests := regexp.MustCompile(`Test\w+`).FindAllString(r[2], -1)
		for _, name := range tests {
			if !declared[name] {
				t.Errorf("%s: there is no %s", r[1], name)
			}
		}
		played := strings.HasPrefix(r[2], "any")
		if played && !regexp.MustCompile(`name: +"[^"]*\b`+r[1]+`\b`).MatchString(inAll) {
			t.Errorf("%s: TestHazards does not play it", r[1])
		}
		if !played && len(tests) == 0 {
			t.Errorf("%s: nothing holds it", r[1])
		}
	}
	if len(rows) != 33 {
		t.Errorf("%d hazards, want 33", len(rows))
	}
}
