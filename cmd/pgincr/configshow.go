package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type configCommand struct {
	Show configShowCommand `cmd:"" help:"Print the value that each flag has without being given, and where it comes from."`
}

type configShowCommand struct {
	withoutRepository
	jsonFlag `embed:""`

	All     bool     `help:"Print flags that have their default or no value, too."`
	Command []string `arg:"" optional:"" placeholder:"COMMAND" help:"A command, as on its command line (default: all commands)."`
}

// Help is shown below the summary.
func (*configShowCommand) Help() string {
	return "Flags that every command takes come first, then what is different for a command. " +
		"The cluster is the one of --cluster, " +
		"PGINCR_CLUSTER or the file. Passwords in connection strings and URLs are not printed."
}

// setting is the effective value of a flag in one command.
type setting struct {
	Command string `json:"command"` // "" for all commands
	Flag    string `json:"flag"`
	Value   string `json:"value"`
	Source  string `json:"source"`         // "command line", "environment", "file", "default", or "unset"
	From    string `json:"from,omitempty"` // the variable, or the file and line
}

// Run implements the command.
func (c *configShowCommand) Run(kctx *kong.Context, p *program) error {
	nodes, err := c.commands(kctx.Model.Node)
	if err != nil {
		return err
	}
	file := &config{top: newSection()}
	path := string(p.common.Config)
	if path != "" {
		if file, err = loadConfig(path, kctx.Model); err != nil {
			return err // cannot be: it was read before
		}
	}
	e := effective{config: file, path: path, cluster: p.common.Cluster, kctx: kctx}
	settings := []setting{}
	common := map[string]setting{}
	for _, f := range kctx.Model.Flags {
		if s, ok := e.setting(f, nil); ok {
			common[f.Name] = s
			settings = append(settings, s)
		}
	}
	for _, n := range nodes {
		words := commandWords(n)
		for _, flags := range n.AllFlags(false) {
			for _, f := range flags {
				s, ok := e.setting(f, words)
				was, everywhere := common[f.Name]
				if ok && (!everywhere || was.Value != s.Value || was.From != s.From) {
					settings = append(settings, s)
				}
			}
		}
	}
	if !c.All {
		settings = slices.DeleteFunc(settings, func(s setting) bool { return s.Source == "default" || s.Source == "unset" })
	}
	if c.JSON {
		return p.printJSON(settings)
	}
	return printSettings(p, settings)
}

// commands gives the commands to tell of.
func (c *configShowCommand) commands(root *kong.Node) ([]*kong.Node, error) {
	node := root
	for _, word := range c.Command {
		if node = childNamed(node, word); node == nil {
			return nil, &usageError{err: fmt.Errorf("%s: no such command", strings.Join(c.Command, " ")), command: "pgincr"}
		}
	}
	if node.Leaf() {
		return []*kong.Node{node}, nil
	}
	return node.Leaves(true), nil
}

// commandWords gives the words that name a command.
func commandWords(n *kong.Node) (words []string) {
	for ; n.Parent != nil; n = n.Parent {
		words = append([]string{n.Name}, words...)
	}
	return words
}

// effective finds values as kong does.
type effective struct {
	config  *config
	path    string // of the file; "": none
	cluster string
	kctx    *kong.Context
}

// setting gives the value of a flag in the command that words name; ok is false for flags that only act.
func (e *effective) setting(f *kong.Flag, words []string) (s setting, ok bool) {
	if f.Name == "help" {
		return s, false
	}
	s = setting{Command: strings.Join(words, " "), Flag: f.Name}
	cluster := e.cluster
	if f.Name == "cluster" {
		cluster = ""
	}
	variable, inFile := variableOf(f), e.config.value(f, cluster, words)
	switch {
	case e.given(f):
		s.Source, s.Value = "command line", valueText(e.kctx.FlagValue(f))
	case variable != "":
		s.Source, s.From, s.Value = "environment", variable, os.Getenv(variable)
	case inFile.value != nil:
		s.Source, s.From = "file", fmt.Sprintf("%s, line %d", e.path, inFile.line)
		s.Value = valueText(inFile.value)
	case f.HasDefault:
		s.Source, s.Value = "default", f.Default
	case f.IsBool():
		s.Source, s.Value = "default", "false"
	default:
		s.Source = "unset"
	}
	s.Value = withoutSecrets(s.Value)
	return s, true
}

// given says that a common flag stands on this command line. Those of other commands cannot.
func (e *effective) given(f *kong.Flag) bool {
	return slices.ContainsFunc(e.kctx.Path, func(p *kong.Path) bool {
		return p.Flag == f && !p.Resolved
	})
}

// valueText prints a value of the configuration file; lists with commas.
func valueText(v any) string {
	if list, ok := v.([]string); ok {
		return strings.Join(list, ", ")
	}
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = fmt.Sprint(e)
	}
	return strings.Join(texts, ", ")
}

// withoutSecrets hides passwords in connection strings (password=…) and in URLs (//user:password@).
func withoutSecrets(s string) string {
	s = regexp.MustCompile(`(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)`).ReplaceAllString(s, "${1}***")
	return regexp.MustCompile(`(://[^/@:\s]*:)[^/@\s]*@`).ReplaceAllString(s, "${1}***@")
}

func printSettings(p *program, settings []setting) error {
	if len(settings) == 0 {
		p.log.Info("every flag has its default; --all prints them")
		return nil
	}
	rows := []string{"COMMAND\tFLAG\tVALUE\tFROM"}
	for _, s := range settings {
		from := s.From
		switch s.Source {
		case "environment":
			from = "environment " + s.From
		case "command line", "default", "unset":
			from = s.Source
		}
		rows = append(rows, strings.Join([]string{orDash(s.Command), "--" + s.Flag, orDash(s.Value), from}, "\t"))
	}
	return p.printTable(rows)
}
