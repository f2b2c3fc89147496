package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// exitStatus gives the exit code that an error of os/exec stands for.
func exitStatus(err error) (string, bool) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return "", false
	}
	return strconv.Itoa(exit.ExitCode()), true
}

// result is what one run of the program gave.
type result struct {
	code           int
	stdout, stderr string
}

// runHere runs the program in this process.
func runHere(t *testing.T, args ...string) result {
	t.Helper()
	var out, msg bytes.Buffer
	code := run(args, &out, &msg)
	return result{code, out.String(), msg.String()}
}

// Help goes to stdout and is no error, in every command and by both names.
func TestHelp(t *testing.T) {
	var commands [][]string
	for _, n := range allNodes(parser(t).Model.Node) {
		commands = append(commands, strings.Fields(n.Path()))
	}
	for _, words := range commands {
		for _, flag := range []string{"--help", "-?"} {
			r := runHere(t, append(words, flag)...)
			if r.code != 0 || r.stderr != "" || !strings.HasPrefix(r.stdout, "Usage: pgincr") {
				t.Errorf("%v %s: %+v", words, flag, r)
			}
		}
	}
}

// version --json is one document with what a script asks for.
func TestVersionJSON(t *testing.T) {
	r := runHere(t, "version", "--json")
	var v versionDocument
	d := json.NewDecoder(strings.NewReader(r.stdout))
	if err := d.Decode(&v); err != nil || r.code != 0 {
		t.Fatalf("%v: %+v", err, r)
	}
	if v.Version == "" || len(v.Servers) != 6 || v.Formats["repository"].Write == 0 || d.More() {
		t.Errorf("%+v", v)
	}
}

// archive-get that cannot be understood never ends recovery: its usage errors are above 125.
func TestArchiveGetUsage(t *testing.T) {
	for _, args := range [][]string{
		{"archive-get"},
		{"archive-get", "x"},
		{"--no-such-flag", "archive-get", "x", "y"},
		{"archive-get", "x", "y", "z"},
		{"archive-get", "x", "y"},
		{"-R", "/none", "--config", "/none", "archive-get", "x", "y"},
		{"-R", "/none", "--jobs", "many", "archive-get", "x", "y"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			if r := runHere(t, args...); r.code != exitArchiveError || r.stderr == "" {
				t.Errorf("%+v", r)
			}
		})
	}
}

func formatInt(n int) string { return strconv.Itoa(n) }
