package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"
)

// configParser fills a config from YAML nodes. Every error has its line.
type configParser struct{ config *config }

// section reads a mapping whose keys are flags and, below node, commands.
func (p *configParser) section(
	y *yaml.Node, s *section, node *kong.Node, flags map[string]*kong.Flag, top bool,
) error {
	y = resolveAlias(y)
	if isNull(y) {
		return nil
	}
	if y.Kind != yaml.MappingNode {
		return lineError(y, "expected a mapping of keys to values")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], resolveAlias(y.Content[i+1])
		name := key.Value
		if seen[name] {
			return lineError(key, "key %q stands there twice", name)
		}
		seen[name] = true
		command := childNamed(node, name)
		if top && name == "config" { // shows the file, and takes nothing from it
			command = nil
		}
		switch {
		case top && name == clustersKey:
			if err := p.clusters(value, node); err != nil {
				return err
			}
		case command != nil:
			sub := newSection()
			if err := p.section(value, sub, command, flagsBelow(command), false); err != nil {
				return err
			}
			s.commands[name] = sub
		case flags[name] != nil:
			v, err := flagValue(value, flags[name])
			if err != nil {
				return err
			}
			s.values[name] = configValue{value: v, line: key.Line}
		default:
			return unknownKey(key, flags, node, top)
		}
	}
	return nil
}

// clusters reads the sections of clusters.
func (p *configParser) clusters(y *yaml.Node, root *kong.Node) error {
	if isNull(y) {
		return nil
	}
	if y.Kind != yaml.MappingNode {
		return lineError(y, "clusters: expected a mapping of cluster names to sections")
	}
	flags := maps.Clone(flagsBelow(root))
	delete(flags, "cluster") // it chose the section
	for i := 0; i+1 < len(y.Content); i += 2 {
		s := newSection()
		if err := p.section(y.Content[i+1], s, root, flags, false); err != nil {
			return err
		}
		p.config.clusters[y.Content[i].Value] = s
	}
	return nil
}

// flagValue gives a value as kong takes it: a string, or for flags that repeat a list of strings.
func flagValue(y *yaml.Node, flag *kong.Flag) (any, error) {
	switch y.Kind {
	case yaml.ScalarNode:
		if isNull(y) {
			return nil, lineError(y, "%s: no value", flag.Name)
		}
		if flag.IsBool() {
			var v bool
			if err := y.Decode(&v); err != nil {
				return nil, lineError(y, "%s: %q is neither true nor false", flag.Name, y.Value)
			}
			return v, nil
		}
		if flag.IsSlice() {
			return []any{y.Value}, nil
		}
		return y.Value, nil
	case yaml.SequenceNode, yaml.MappingNode:
		if !flag.IsSlice() {
			return nil, lineError(y, "%s: expected one value", flag.Name)
		}
		var list []any
		for i := 0; i < len(y.Content); i++ {
			e := resolveAlias(y.Content[i])
			text := e.Value
			if y.Kind == yaml.MappingNode { // NAME: VALUE is NAME=VALUE
				i++
				e = resolveAlias(y.Content[i])
				text = escapeEquals(text) + "=" + e.Value
			}
			if e.Kind != yaml.ScalarNode || isNull(e) {
				return nil, lineError(e, "%s: expected a value", flag.Name)
			}
			list = append(list, text)
		}
		return list, nil
	default:
		return nil, lineError(y, "%s: expected a value", flag.Name)
	}
}

// unknownKey names what the key may have been meant to be.
func unknownKey(key *yaml.Node, flags map[string]*kong.Flag, node *kong.Node, top bool) error {
	known := slices.Sorted(maps.Keys(flags))
	for _, c := range node.Children {
		known = append(known, c.Name)
	}
	if top {
		known = append(known, clustersKey)
	}
	wrong := strings.ToLower(strings.ReplaceAll(key.Value, "_", "-"))
	best, distance := "", len(wrong)/3+2
	for _, k := range known {
		if d := editDistance(wrong, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return lineError(key, "unknown key %q", key.Value)
	}
	return lineError(key, "unknown key %q, did you mean %q?", key.Value, best)
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func childNamed(node *kong.Node, name string) *kong.Node {
	for _, c := range node.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func resolveAlias(y *yaml.Node) *yaml.Node {
	if y.Kind == yaml.AliasNode && y.Alias != nil {
		return y.Alias
	}
	return y
}

func isNull(y *yaml.Node) bool { return y.Kind == yaml.ScalarNode && y.ShortTag() == "!!null" }

func lineError(y *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{y.Line}, args...)...)
}
