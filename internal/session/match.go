package session

import (
	"regexp"
	"strings"
)

// kind is something that is different each time a session is run.
type kind struct {
	pattern string // without groups that capture
	bound   bool   // a document may use it again in a command
	same    bool   // what a document calls the same is the same
}

// kinds are tried in this order at each place.
func kinds() []kind {
	return []kind{
		{pattern: `\b\d{8}T\d{6}(?:\.\d+)?Z(?:-[A-Z]\d*)?\b`, bound: true, same: true},
		{pattern: `\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::\d\d)?)?`, bound: true},
		{pattern: `\bage1[a-z0-9]{58}\b`, bound: true, same: true},
		{pattern: `\b[0-9A-F]{24}\b`, bound: true},
		{pattern: `\b[0-9A-F]{1,8}/[0-9A-F]{5,8}\b`, bound: true},
		{pattern: `\b\d{19}\b`}, // a system identifier
		{pattern: `\b\d+ of \d+ stored`},
		{pattern: `\b\d+ (?:files|objects|pages)\b`},
		{pattern: `\bfiles +\d+\b`},
		{pattern: `\b\d+(?:\.\d+)? %`},
		{pattern: `\b\d+(?:\.\d+)? (?:bytes|kB|MB|GB)\b`},
		{pattern: `\b(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?m?s\b`},
	}
}

// Bindings are what a run has made of what a document shows: the document's words, and the run's.
type Bindings map[string]string

// Command gives a command with the run's words in place of the document's.
func (b Bindings) Command(text string) string {
	return replaceAll(text, b)
}

// Document gives a text of the run with the document's words in place of the run's.
func (b Bindings) Document(text string) string {
	back := map[string]string{}
	for theirs, ours := range b {
		back[ours] = theirs
	}
	return replaceAll(text, back)
}

// replaceAll replaces words that are of a kind, whole ones only.
func replaceAll(text string, words map[string]string) string {
	return regexp.MustCompile(boundPattern()).ReplaceAllStringFunc(text, func(word string) string {
		if to, ok := words[word]; ok {
			return to
		}
		return word
	})
}

func boundPattern() string {
	var patterns []string
	for _, k := range kinds() {
		if k.bound {
			patterns = append(patterns, k.pattern)
		}
	}
	return strings.Join(patterns, "|")
}

// Match compares what a document shows with what was printed, and learns from it. Runs of blanks are as one, and
// blanks at the end of a line do not count.
func (b Bindings) Match(want, got string) bool {
	var all []string
	for _, k := range kinds() {
		all = append(all, "("+k.pattern+")")
	}
	token := regexp.MustCompile(strings.Join(append(all, `(…)`, `( +)`), "|"))
	var re strings.Builder
	re.WriteString(`\A`)
	var names []string // of the groups of re
	for line := range strings.Lines(want) {
		line = strings.TrimRight(line, " \n")
		if strings.TrimSpace(line) == "…" {
			re.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		at := 0
		for _, m := range token.FindAllStringSubmatchIndex(line, -1) {
			re.WriteString(regexp.QuoteMeta(line[at:m[0]]))
			word := line[m[0]:m[1]]
			at = m[1]
			pattern, bound := b.pattern(word, m)
			if bound {
				names = append(names, word)
			}
			re.WriteString(pattern)
		}
		re.WriteString(regexp.QuoteMeta(line[at:]) + ` *\n`)
	}
	re.WriteString(`\z`)
	found := regexp.MustCompile(re.String()).FindStringSubmatch(got)
	if found == nil {
		return false
	}
	for i, name := range names {
		b[name] = found[i+1]
	}
	return true
}

// pattern gives what a word of a document may be in a run, and whether it is a group to learn from. m is where token
// found it: each kind has a group.
func (b Bindings) pattern(word string, m []int) (pattern string, bound bool) {
	for i, k := range kinds() {
		if m[2+2*i] < 0 {
			continue
		}
		known, isKnown := b[word]
		switch {
		case k.same && isKnown:
			return regexp.QuoteMeta(known), false
		case k.bound:
			return "(" + k.pattern + ")", true
		}
		return "(?:" + k.pattern + ")", false
	}
	if word == "…" {
		return `[^\n]*?`, false
	}
	return ` +`, false
}
