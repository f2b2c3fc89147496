package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	withoutRepository `kong:"-"`

	Shell string `arg:"" enum:"bash, zsh, fish" help:"${enum}."`
}

// Help is shown below the summary.
func (*completionCommand) Help() string {
	return "bash: pgincr completion bash > /usr/share/bash-completion/completions/pgincr. " +
		"zsh: pgincr completion zsh > \"${fpath[1]}/_pgincr\". " +
		"fish: pgincr completion fish > ~/.config/fish/completions/pgincr.fish."
}

// Run implements the command.
func (c *completionCommand) Run(p *program, k *kong.Kong) error {
	return writeCompletion(p.stdout, c.Shell, k.Model)
}

func writeCompletion(w io.Writer, shell string, model *kong.Application) error {
	var text string
	switch shell {
	case "bash":
		text = bashCompletion(model)
	case "zsh":
		text = zshCompletion(model)
	default:
		text = fishCompletion(model)
	}
	_, err := io.WriteString(w, text)
	return err
}

// commandFlags gives the flags that a command accepts, its own first.
func commandFlags(node *kong.Node) []*kong.Flag {
	groups := node.AllFlags(true)
	slices.Reverse(groups)
	return slices.Concat(groups...)
}

// flagValues says what may follow a flag: words of an enumeration, a directory, a file, or anything.
func flagValues(f *kong.Value) (words []string, kind string) {
	switch {
	case f.Flag != nil && (f.IsBool() || f.IsCounter()):
		return nil, "none"
	case f.Enum != "":
		words = slices.DeleteFunc(f.EnumSlice(), func(s string) bool { return s == "" })
		return words, "words"
	case slices.Contains([]string{"repo", "pgdata", "host", "bindir"}, f.Name):
		return nil, "directory"
	case slices.Contains([]string{"config", "path"}, f.Name):
		return nil, "file"
	}
	return nil, "any"
}

func flagWords(f *kong.Flag) []string {
	words := []string{"--" + f.Name}
	if f.Short != 0 {
		words = append(words, "-"+string(f.Short))
	}
	return words
}

// bashCompletion knows commands, subcommands, their flags and the words of enumerations.
func bashCompletion(model *kong.Application) string {
	var b strings.Builder
	b.WriteString(`# bash completion of pgincr, made by "pgincr completion bash"
_pgincr() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path="" word
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case "$path $word" in
`)
	nodes := model.Leaves(true)
	var inner []*kong.Node
	for _, n := range nodes {
		for p := n; p != nil && p.Type == kong.CommandNode; p = p.Parent {
			if !slices.Contains(inner, p) {
				inner = append(inner, p)
			}
		}
	}
	slices.SortFunc(inner, func(a, b *kong.Node) int { return strings.Compare(a.Path(), b.Path()) })
	for _, n := range inner {
		fmt.Fprintf(&b, "\t\t\" %s\") path=\" %s\" ;;\n", n.Path(), n.Path())
	}
	b.WriteString("\t\tesac\n\tdone\n\tlocal words=\"\"\n\tcase \"$path $prev\" in\n")
	for _, n := range inner {
		for _, f := range commandFlags(n) {
			words, kind := flagValues(f.Value)
			var patterns []string
			for _, w := range flagWords(f) {
				patterns = append(patterns, fmt.Sprintf("\" %s %s\"", n.Path(), w))
			}
			pattern := strings.Join(patterns, "|")
			switch kind {
			case "words":
				fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", pattern, strings.Join(words, " "))
			case "directory":
				fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n", pattern)
			case "file":
				fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", pattern)
			case "any":
				fmt.Fprintf(&b, "\t%s) return ;;\n", pattern)
			}
		}
	}
	b.WriteString("\tesac\n\tcase \"$path\" in\n")
	for _, n := range append([]*kong.Node{model.Node}, inner...) {
		path := n.Path()
		if path != "" {
			path = " " + path
		}
		fmt.Fprintf(&b, "\t%q) words=%q ;;\n", path, strings.Join(nodeWords(n), " "))
	}
	b.WriteString("\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _pgincr pgincr\n")
	return b.String()
}

// nodeWords are what may be typed at a place of the grammar: commands, words of an argument, flags.
func nodeWords(n *kong.Node) []string {
	var words []string
	for _, c := range n.Children {
		if !c.Hidden {
			words = append(words, c.Name)
		}
	}
	for _, a := range n.Positional {
		enum, _ := flagValues(a)
		words = append(words, enum...)
	}
	for _, f := range commandFlags(n) {
		words = append(words, "--"+f.Name)
	}
	return words
}
