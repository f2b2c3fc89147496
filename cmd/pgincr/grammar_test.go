package main

import (
	"bytes"
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// parser builds the grammar as run does.
func parser(t *testing.T) *kong.Kong {
	t.Helper()
	var g grammar
	k, err := newParser(&g, newProgram(new(bytes.Buffer), new(bytes.Buffer)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// allNodes gives every command, inner ones too.
func allNodes(n *kong.Node) []*kong.Node {
	nodes := []*kong.Node{n}
	for _, c := range n.Children {
		nodes = append(nodes, allNodes(c)...)
	}
	return nodes
}

// Every command has a Run whose arguments are bound when it is called; kong would find that out
// only at the first use of the command.
func TestEveryRunBinds(t *testing.T) {
	bound := []reflect.Type{
		reflect.TypeFor[context.Context](), reflect.TypeFor[*program](), reflect.TypeFor[*kong.Kong](),
		reflect.TypeFor[*kong.Context](),
	}
	for _, leaf := range parser(t).Model.Leaves(false) {
		run := leaf.Target.Addr().MethodByName("Run")
		if !run.IsValid() {
			t.Errorf("%s: no Run", leaf.Path())
			continue
		}
		for i := range run.Type().NumIn() {
			if !slices.Contains(bound, run.Type().In(i)) {
				t.Errorf("%s: Run wants a %v", leaf.Path(), run.Type().In(i))
			}
		}
		if run.Type().NumOut() != 1 || run.Type().Out(0) != reflect.TypeFor[error]() {
			t.Errorf("%s: Run gives %v", leaf.Path(), run.Type())
		}
	}
}

// The grammar is the manual: everything in it is explained, and a key of the
// configuration file means one thing.
func TestEverythingIsExplained(t *testing.T) {
	k := parser(t)
	nodes := allNodes(k.Model.Node)
	names := map[string]bool{clustersKey: true}
	for _, n := range nodes[1:] {
		names[n.Name] = true
		if n.Help == "" || !strings.HasSuffix(n.Help, ".") {
			t.Errorf("%s: help %q", n.Path(), n.Help)
		}
	}
	for _, n := range nodes {
		for _, f := range n.Flags {
			if f.Help == "" || !strings.HasSuffix(f.Help, ".") {
				t.Errorf("%s --%s: help %q", n.Path(), f.Name, f.Help)
			}
			if names[f.Name] && f.Name != "config" { // which is no key of the file
				t.Errorf("%s --%s: also the name of a command", n.Path(), f.Name)
			}
			if !f.IsBool() && f.PlaceHolder == "" {
				t.Errorf("%s --%s: no placeholder", n.Path(), f.Name)
			}
		}
		for _, a := range n.Positional {
			if a.Help == "" {
				t.Errorf("%s %s: no help", n.Path(), a.Name)
			}
		}
	}
}

// The same long or short flag means the same in every command.
func TestFlagsMeanTheSame(t *testing.T) {
	letters, names := map[rune]string{}, map[string]rune{}
	for _, n := range allNodes(parser(t).Model.Node) {
		for _, f := range n.Flags {
			if was, ok := letters[f.Short]; ok && f.Short != 0 && was != f.Name {
				t.Errorf("-%c is --%s and --%s", f.Short, was, f.Name)
			}
			letters[f.Short] = f.Name
			if was, ok := names[f.Name]; ok && was != f.Short {
				t.Errorf("--%s is -%c and -%c", f.Name, was, f.Short)
			}
			names[f.Name] = f.Short
		}
	}
}
