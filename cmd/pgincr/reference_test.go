package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/pkg/repo"
)

// A flag of the test binary.
var update = flag.Bool("update", false, "write docs, man page and completions anew")

// What is made from the grammar is what the grammar says: the tables of docs/cli.md, the man page, the completions.
func TestGenerated(t *testing.T) {
	model := parser(t).Model
	root := filepath.Join("..", "..")
	generated := map[string]string{
		"docs/cli.md":             cliDocument(t, filepath.Join(root, "docs", "cli.md"), model),
		"man/pgincr.1":            manPage(model),
		"completions/pgincr.bash": bashCompletion(model),
		"completions/_pgincr":     zshCompletion(model),
		"completions/pgincr.fish": fishCompletion(model),
	}
	for name, want := range generated {
		path := filepath.Join(root, filepath.FromSlash(name))
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what the grammar says; run make docs (%v)", name, err)
		}
	}
}

const (
	generatedBegin = "<!-- made by make docs: commands -->\n"
	generatedEnd   = "<!-- end -->\n"
)

// cliDocument gives docs/cli.md with its generated part made anew.
func cliDocument(t *testing.T, path string, model *kong.Application) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(b), generatedBegin)
	_, tail, ok2 := strings.Cut(rest, generatedEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s: the marks of the generated part are missing", path)
	}
	return head + generatedBegin + commandReference(model) + generatedEnd + tail
}

// commandReference is the part of docs/cli.md about commands and flags, in Markdown.
func commandReference(model *kong.Application) string {
	var b strings.Builder
	b.WriteString("\n### Everywhere\n\n")
	flagTable(&b, model.Flags)
	b.WriteString("\n### Commands that connect to the server\n\n")
	var connection []*kong.Flag
	for _, n := range model.Leaves(true) {
		for _, f := range n.Flags {
			known := slices.ContainsFunc(connection, func(c *kong.Flag) bool { return c.Name == f.Name })
			if isConnectionFlag(f) && !known {
				connection = append(connection, f)
			}
		}
	}
	flagTable(&b, connection)
	for _, n := range model.Leaves(true) {
		fmt.Fprintf(&b, "\n### pgincr %s\n\n", n.Path())
		b.WriteString("```\n" + usageLine(n) + "\n```\n\n" + n.Help + "\n")
		if n.Detail != "" {
			b.WriteString("\n" + n.Detail + "\n")
		}
		own := slices.DeleteFunc(slices.Clone(n.Flags), isConnectionFlag)
		if len(own) < len(n.Flags) {
			text := "It connects to the server"
			if slices.ContainsFunc(n.Flags, func(f *kong.Flag) bool { return f.Name == "names" }) {
				text += " only when it is asked for names"
			}
			b.WriteString("\n" + text + ".\n")
		}
		if len(n.Positional)+len(own) > 0 {
			b.WriteByte('\n')
			argumentTable(&b, n, own)
		}
	}
	b.WriteByte('\n')
	return b.String()
}

func isConnectionFlag(f *kong.Flag) bool { return f.Group != nil && f.Group.Key == "connection" }

// usageLine is what may be typed.
func usageLine(n *kong.Node) string {
	line := "pgincr " + n.Path()
	for _, f := range n.Flags {
		if f.Required {
			line += fmt.Sprintf(" -%c %s", f.Short, f.PlaceHolder)
		}
	}
	line += " [FLAGS]"
	for _, a := range n.Positional {
		line += " " + argumentName(a)
	}
	return line
}

func argumentName(a *kong.Positional) string {
	name := a.Tag.PlaceHolder
	if name == "" {
		name = strings.ToUpper(a.Name)
	}
	if a.IsCumulative() {
		name += "…"
	}
	if !a.Required {
		name = "[" + name + "]"
	}
	return name
}

func flagTable(b *strings.Builder, flags []*kong.Flag) {
	b.WriteString("| flag | environment | meaning |\n|---|---|---|\n")
	for _, f := range flags {
		flagRow(b, f)
	}
}

func argumentTable(b *strings.Builder, n *kong.Node, flags []*kong.Flag) {
	b.WriteString("| argument or flag | environment | meaning |\n|---|---|---|\n")
	for _, a := range n.Positional {
		fmt.Fprintf(b, "| `%s` | | %s |\n", argumentName(a), escapeTable(a.Help))
	}
	for _, f := range flags {
		flagRow(b, f)
	}
}

func flagRow(b *strings.Builder, f *kong.Flag) {
	env := slices.Clone(f.Envs)
	if e := f.Tag.Get("libpq"); e != "" {
		env = append(env, e)
	}
	text := ""
	if len(env) > 0 {
		text = "`" + strings.Join(env, "`, `") + "`"
	}
	fmt.Fprintf(b, "| `%s` | %s | %s |\n", flagNames(f), text, escapeTable(f.Help))
}

// flagNames gives "-R, --repo URL".
func flagNames(f *kong.Flag) string {
	s := "--" + f.Name
	if f.Short != 0 {
		s = fmt.Sprintf("-%c, %s", f.Short, s)
	}
	if !f.IsBool() {
		s += " " + f.PlaceHolder
	}
	return s
}

func escapeTable(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// manPage is pgincr(1).
func manPage(model *kong.Application) string {
	var b strings.Builder
	b.WriteString(".\\\" made by make docs\n.TH PGINCR 1 \"\" pgincr \"pgincr manual\"\n")
	b.WriteString(".SH NAME\npgincr \\- full and incremental physical backups of PostgreSQL\n")
	b.WriteString(".SH SYNOPSIS\n.B pgincr\n.I command\n[\\fIflags\\fR] [\\fIarguments\\fR]\n")
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roff(model.Help))
	b.WriteString(".SH COMMANDS\n")
	for _, n := range model.Leaves(true) {
		fmt.Fprintf(&b, ".SS %s\n%s\n", roff(usageLine(n)), roff(n.Help))
		if n.Detail != "" {
			b.WriteString(".PP\n" + roff(n.Detail) + "\n")
		}
		for _, a := range n.Positional {
			fmt.Fprintf(&b, ".TP\n.I %s\n%s\n", roff(argumentName(a)), roff(a.Help))
		}
		for _, f := range n.Flags {
			manFlag(&b, f)
		}
	}
	b.WriteString(".SH COMMON FLAGS\n")
	for _, f := range model.Flags {
		manFlag(&b, f)
	}
	b.WriteString(".SH EXIT STATUS\n")
	for _, row := range [][2]string{
		{"0", "done"},
		{"1", "failed, nothing was lost"},
		{"2", "usage or configuration"},
		{"3", "done, with findings (corrupt pages, say)"},
		{"4", "another pgincr holds the lock"},
		{"5", "the repository cannot be reached"},
	} {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", row[0], row[1])
	}
	b.WriteString(".PP\narchive\\-get: 0 found, 1 certainly not in the archive, above 125 anything else.\n")
	b.WriteString(".SH SEE ALSO\n.BR pg_basebackup (1),\n.BR pg_verifybackup (1),\n.BR psql (1)\n")
	return b.String()
}

func manFlag(b *strings.Builder, f *kong.Flag) {
	help := f.Help
	if len(f.Envs) > 0 {
		help += " Environment: " + strings.Join(f.Envs, ", ") + "."
	}
	fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(flagNames(f)), roff(help))
}

// roff escapes text for troff.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(strings.TrimSpace(s))
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// docs/cli.md names every key that a backup has in JSON.
func TestJSONKeysAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[repo.Manifest]()) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key != "" && !bytes.Contains(doc, []byte("`"+key+"`")) {
			t.Errorf("docs/cli.md does not say what %s is", key)
		}
	}
}

// The configuration file that docs/cli.md shows is one.
func TestDocumentedConfig(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "```yaml\n")
	file, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("no configuration file in docs/cli.md")
	}
	g, err := parse(t, file, "backup", "--cluster", "sales")
	if err != nil {
		t.Fatal(err)
	}
	if g.Backup.PGData != "/srv/sales/17" || g.Backup.Rate != 50<<20 || g.Backup.Checkpoint != "fast" {
		t.Errorf("%+v", g.Backup)
	}
}
