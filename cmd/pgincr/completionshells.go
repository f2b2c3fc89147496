package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// fishCompletion knows commands, subcommands, their flags with help, and the words of enumerations.
func fishCompletion(model *kong.Application) string {
	var b strings.Builder
	b.WriteString("# fish completion of pgincr, made by \"pgincr completion fish\"\ncomplete -c pgincr -f\n")
	fishNode(&b, model.Node, "")
	return b.String()
}

// fishNode writes what may follow a command; condition is fish's for being there.
func fishNode(b *strings.Builder, n *kong.Node, condition string) {
	var names []string
	for _, c := range n.Children {
		names = append(names, c.Name)
	}
	and := ""
	if condition != "" {
		and = condition + "; and "
	}
	for _, c := range n.Children {
		fmt.Fprintf(b, "complete -c pgincr -n %s -a %s -d %s\n",
			fishQuote(and+"not __fish_seen_subcommand_from "+strings.Join(names, " ")), c.Name, fishQuote(c.Help))
		fishNode(b, c, and+"__fish_seen_subcommand_from "+c.Name)
	}
	for _, a := range n.Positional {
		switch words, kind := flagValues(a); kind {
		case "words":
			fmt.Fprintf(b, "complete -c pgincr -n %s -a %s\n", fishQuote(condition), fishQuote(strings.Join(words, " ")))
		case "file":
			fmt.Fprintf(b, "complete -c pgincr -n %s -F\n", fishQuote(condition))
		}
	}
	for _, f := range n.Flags {
		b.WriteString("complete -c pgincr")
		if condition != "" {
			b.WriteString(" -n " + fishQuote(condition))
		}
		b.WriteString(fishFlag(f) + "\n")
	}
}

// fishFlag gives a flag's names, help and values.
func fishFlag(f *kong.Flag) string {
	var s string
	if f.Short != 0 {
		s = " -s " + fishQuote(string(f.Short))
	}
	s += " -l " + f.Name + " -d " + fishQuote(f.Help)
	switch words, kind := flagValues(f.Value); kind {
	case "words":
		s += " -x -a " + fishQuote(strings.Join(words, " "))
	case "directory":
		s += " -x -a '(__fish_complete_directories)'"
	case "file":
		s += " -r -F"
	case "any":
		s += " -x"
	}
	return s
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// zshCompletion knows commands, subcommands, their flags with help, and the words of enumerations.
func zshCompletion(model *kong.Application) string {
	var b strings.Builder
	b.WriteString("#compdef pgincr\n# zsh completion of pgincr, made by \"pgincr completion zsh\"\n")
	var walk func(n *kong.Node, function string)
	walk = func(n *kong.Node, function string) {
		fmt.Fprintf(&b, "\n%s() {\n", function)
		if len(n.Children) > 0 {
			b.WriteString("\tlocal context state state_descr line\n\ttypeset -A opt_args\n")
		}
		b.WriteString("\t_arguments -s -S")
		for _, f := range commandFlags(n) {
			for _, spec := range zshFlag(f) {
				b.WriteString(" \\\n\t\t" + spec)
			}
		}
		for _, a := range n.Positional {
			b.WriteString(" \\\n\t\t" + zshQuote(":"+zshEscape(a.Name)+":"+zshAction(a)))
		}
		if len(n.Children) == 0 {
			b.WriteString("\n}\n")
			return
		}
		b.WriteString(" \\\n\t\t'1:command:->command' \\\n\t\t'*::argument:->argument'\n")
		b.WriteString("\tcase $state in\n\tcommand)\n\t\tlocal -a commands=(")
		for _, c := range n.Children {
			b.WriteString("\n\t\t\t" + zshQuote(strings.ReplaceAll(c.Name, ":", `\:`)+":"+c.Help))
		}
		b.WriteString("\n\t\t)\n\t\t_describe command commands ;;\n\targument)\n\t\tcase $line[1] in\n")
		for _, c := range n.Children {
			fmt.Fprintf(&b, "\t\t%s) %s_%s ;;\n", c.Name, function, strings.ReplaceAll(c.Name, "-", "_"))
		}
		b.WriteString("\t\tesac ;;\n\tesac\n}\n")
		for _, c := range n.Children {
			walk(c, function+"_"+strings.ReplaceAll(c.Name, "-", "_"))
		}
	}
	walk(model.Node, "_pgincr")
	b.WriteString("\n_pgincr \"$@\"\n")
	return b.String()
}

// zshFlag gives the specs of a flag for _arguments.
func zshFlag(f *kong.Flag) []string {
	var specs []string
	for _, w := range flagWords(f) {
		_, kind := flagValues(f.Value)
		spec := w
		if kind != "none" {
			spec += map[bool]string{true: "=", false: "+"}[strings.HasPrefix(w, "--")]
		}
		if f.IsCumulative() {
			spec = "*" + spec
		}
		spec += "[" + zshEscape(f.Help) + "]"
		if kind != "none" {
			spec += ":" + zshEscape(f.Name) + ":" + zshAction(f.Value)
		}
		specs = append(specs, zshQuote(spec))
	}
	return specs
}

func zshAction(v *kong.Value) string {
	switch words, kind := flagValues(v); kind {
	case "words":
		return "(" + strings.Join(words, " ") + ")"
	case "directory":
		return "_files -/"
	case "file":
		return "_files"
	}
	return ""
}

func zshEscape(s string) string {
	return strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`).Replace(s)
}

func zshQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
