package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"
)

// configFile is the path of a configuration file. Given on the command line or in the
// environment it is read before flags get their values.
//
// The file is a YAML mapping from flag names to values. A section named like a
// command holds values for that command only, and clusters: holds a section of
// the same kind for each cluster. The most particular value counts:
//
//	repo: /backup
//	jobs: 4
//	backup:
//	  page-map: wal
//	clusters:
//	  sales:
//	    pgdata: /srv/sales
//	    backup: {rate: 100M}
type configFile string

// BeforeResolve is called by kong between defaults and flags.
func (configFile) BeforeResolve(k *kong.Kong, ctx *kong.Context, trace *kong.Path) error {
	path, _ := ctx.FlagValue(trace.Flag).(configFile)
	if path == "" {
		return nil
	}
	c, err := loadConfig(string(path), k.Model)
	if err != nil {
		return &usageError{
			err:  fmt.Errorf("configuration file %s: %w", path, err),
			hint: "its keys are flag names, command names and clusters; see docs/cli.md",
		}
	}
	ctx.AddResolver(c)
	return nil
}

// maxConfigSize bounds what is read; a real file has some hundred bytes.
const maxConfigSize = 1 << 20

// clustersKey is the section with the clusters' own values.
const clustersKey = "clusters"

// config is a configuration file that fits the grammar. It is kong's resolver of flags.
type config struct {
	top      *section
	clusters map[string]*section
}

// section holds values by flag name, for all commands and for some.
type section struct {
	values   map[string]configValue
	commands map[string]*section
}

// configValue is what the file says for a flag.
type configValue struct {
	value any // string, bool, or []any of strings
	line  int // where it stands
}

// loadConfig reads a file and holds it against the grammar.
func loadConfig(path string, model *kong.Application) (*config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unwrapPath(err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, unwrapPath(err)
	}
	if len(b) > maxConfigSize {
		return nil, fmt.Errorf("larger than %d bytes", maxConfigSize)
	}
	return parseConfig(b, model)
}

// unwrapPath drops the path from an error that will be told with it.
func unwrapPath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func parseConfig(b []byte, model *kong.Application) (*config, error) {
	c := &config{top: newSection(), clusters: map[string]*section{}}
	if len(bytes.TrimSpace(b)) == 0 {
		return c, nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, errors.New(oneLine(err.Error()))
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return c, nil // comments only
	}
	p := configParser{config: c}
	return c, p.section(doc.Content[0], c.top, model.Node, flagsBelow(model.Node), true)
}

func newSection() *section {
	return &section{values: map[string]configValue{}, commands: map[string]*section{}}
}

// flagsBelow gives the flags of a command, of those above it and of those below.
func flagsBelow(node *kong.Node) map[string]*kong.Flag {
	flags := map[string]*kong.Flag{}
	add := func(n *kong.Node) {
		for _, f := range n.Flags {
			if !slices.Contains([]string{"help", "config"}, f.Name) {
				flags[f.Name] = f
			}
		}
	}
	for n := node; n != nil; n = n.Parent {
		add(n)
	}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		add(n)
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(node)
	return flags
}

// Validate implements kong.Resolver; the file was held against the grammar when it was read.
func (*config) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver: it gives the file's value for a flag that
// neither the command line nor the environment sets.
func (c *config) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if variableOf(flag) != "" {
		return nil, nil
	}
	cluster := ""
	if flag.Name != "cluster" { // which decides about the section
		cluster = c.clusterName(ctx)
	}
	var commands []string
	for _, path := range ctx.Path {
		if path.Command != nil {
			commands = append(commands, path.Command.Name)
		}
	}
	return c.value(flag, cluster, commands).value, nil
}

// variableOf names the environment variable that sets a flag, or "".
func variableOf(flag *kong.Flag) string {
	envs := flag.Envs
	if flag.Tag != nil && flag.Tag.Get("libpq") != "" {
		envs = append(slices.Clone(envs), flag.Tag.Get("libpq"))
	}
	for _, env := range envs {
		if _, set := os.LookupEnv(env); set {
			return env
		}
	}
	return ""
}

// value gives what the file says for a flag of a command (the words that name it) and of a cluster: the most
// particular section counts. Without one the value is nil.
func (c *config) value(flag *kong.Flag, cluster string, commands []string) (found configValue) {
	for _, s := range []*section{c.top, c.clusters[cluster]} {
		for i := 0; s != nil; i++ {
			if v, ok := s.values[flag.Name]; ok {
				found = v
			}
			if i == len(commands) {
				break
			}
			s = s.commands[commands[i]]
		}
	}
	return found
}

// clusterName is the cluster that the command line is about: flag, environment, file, default.
func (c *config) clusterName(ctx *kong.Context) string {
	for _, f := range ctx.Model.Flags {
		if f.Name != "cluster" {
			continue
		}
		for _, p := range ctx.Path {
			if p.Flag == f && !p.Resolved {
				name, _ := ctx.FlagValue(f).(string)
				return name
			}
		}
		if v, err := c.Resolve(ctx, nil, f); err == nil && v != nil {
			name, _ := v.(string)
			return name
		}
		name, _ := ctx.FlagValue(f).(string)
		return name
	}
	return ""
}
