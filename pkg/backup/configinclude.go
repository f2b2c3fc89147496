package backup

import (
	"path/filepath"
	"strings"
)

// configInclude is a file, or a directory of files, that a configuration file includes.
type configInclude struct {
	path     string // absolute
	optional bool   // it need not be there
	dir      bool
	tokens   bool // a list of names (@file), not lines
}

// includes finds what a file of configuration includes: postgresql.conf as guc-file.l reads it, the others as hba.c
// does. Versions before 16 know no includes in the latter, but names of databases and users from files (@file).
func includes(setting, path, content string, tokens bool) []configInclude {
	var found []configInclude
	for line := range strings.Lines(joinLines(setting, content)) {
		if setting == "config_file" {
			found = append(found, includedByConf(path, line)...)
			continue
		}
		found = append(found, includedByAccess(setting, path, splitAccess(line), tokens)...)
	}
	return found
}

// joinLines puts together what a backslash at the end continues, in the files that have that (14 and later).
func joinLines(setting, content string) string {
	if setting == "config_file" {
		return content
	}
	return strings.ReplaceAll(content, "\\\n", "")
}

// newInclude makes an include of a directive's name, any case, and its argument; ok says whether it is one.
func newInclude(from, directive, argument string) (in configInclude, ok bool) {
	switch strings.ToLower(directive) {
	case "include":
	case "include_if_exists":
		in.optional = true
	case "include_dir":
		in.dir = true
	default:
		return in, false
	}
	in.path = beside(from, argument)
	return in, argument != ""
}

// beside gives the path that a name in a file means: relative ones begin where the file lies.
func beside(from, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(filepath.Dir(from), name)
}

// includedByConf looks for a directive in a line of postgresql.conf: a name, perhaps an equals sign, and a value
// in quotes or of characters that need none.
func includedByConf(from, line string) []configInclude {
	line = strings.TrimSpace(line)
	n := strings.IndexFunc(line, func(r rune) bool { return r == '=' || r == ' ' || r == '\t' || r == '\'' })
	if n < 0 {
		return nil
	}
	name, rest := line[:n], strings.TrimSpace(line[n:])
	rest = strings.TrimSpace(strings.TrimPrefix(rest, "="))
	in, ok := newInclude(from, name, confValue(rest))
	if !ok {
		return nil
	}
	return []configInclude{in}
}

// confValue gives the value at the beginning of s. Of escapes it knows those that a name of a file may need.
func confValue(s string) string {
	if !strings.HasPrefix(s, "'") {
		s, _, _ = strings.Cut(s, "#")
		value, _, _ := strings.Cut(strings.TrimSpace(s), " ")
		return value
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s), s[i] == '\'' && strings.HasPrefix(s[i:], "''"):
			i++
			b.WriteByte(s[i])
		case s[i] == '\'':
			return b.String()
		default:
			b.WriteByte(s[i])
		}
	}
	return ""
}

// accessToken is a word of pg_hba.conf or pg_ident.conf.
type accessToken struct {
	text   string
	quoted bool
	field  int // from 0; words that commas join are one field
}

// splitAccess divides a line into words, up to a comment.
func splitAccess(line string) []accessToken {
	var words []accessToken
	field, comma := -1, false
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == '#':
			return words
		case c == ',':
			comma = true
			i++
			continue
		case strings.IndexByte(" \t\r\n\f\v", c) >= 0:
			i++
			continue
		}
		if !comma {
			field++
		}
		w := accessToken{field: field, quoted: line[i] == '"'}
		quote := false
		for ; i < len(line) && (quote || strings.IndexByte(" \t\r\n\f\v,#", line[i]) < 0); i++ {
			if line[i] == '"' {
				quote = !quote
				continue
			}
			w.text += string(line[i])
		}
		words, comma = append(words, w), i < len(line) && line[i] == ','
	}
	return words
}

// includedByAccess looks for directives, and for @file where names of databases and users stand.
func includedByAccess(setting, from string, words []accessToken, tokens bool) []configInclude {
	var found []configInclude
	if len(words) == 2 && !words[0].quoted && !tokens {
		if in, ok := newInclude(from, words[0].text, words[1].text); ok {
			return []configInclude{in}
		}
	}
	for _, w := range words {
		names := tokens || setting == "hba_file" && (w.field == 1 || w.field == 2) || w.field == 2
		if name, ok := strings.CutPrefix(w.text, "@"); ok && name != "" && !w.quoted && names {
			found = append(found, configInclude{path: beside(from, name), tokens: true})
		}
	}
	return found
}
