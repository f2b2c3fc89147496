package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// bash offers commands, subcommands, flags, and the words of flags that have some.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	r := runHere(t, "completion", "bash")
	for _, tt := range []struct{ line, want string }{
		{"pgincr ba", "backup"},
		{"pgincr backup --page", "--page-map"},
		{"pgincr backup --page-map su", "summaries"},
		{"pgincr pagemap ", "show build"},
		{"pgincr pagemap build --js", "--json"},
		{"pgincr completion z", "zsh"},
		{"pgincr --repo /x list --j", "--json --jobs"},
		{"pgincr archive-", "archive-push archive-get"},
	} {
		words := strings.Split(tt.line, " ")
		script := r.stdout + "\nCOMP_WORDS=("
		for _, w := range words {
			script += " " + shellQuote(w)
		}
		script += " )\nCOMP_CWORD=" + formatInt(len(words)-1) + "\n_pgincr\necho \"${COMPREPLY[*]}\"\n"
		cmd := exec.Command(bash, "--norc", "-c", script)
		out, err := cmd.CombinedOutput()
		got := strings.TrimSpace(string(out))
		if err != nil || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q: %q, want %q (%v)", tt.line, got, tt.want, err)
		}
	}
}

// zsh and fish: every command and flag is in the script, and where the shell is installed it can read it.
func TestOtherCompletions(t *testing.T) {
	for _, shell := range []string{"zsh", "fish"} {
		r := runHere(t, "completion", shell)
		if r.code != 0 || r.stderr != "" {
			t.Fatalf("%+v", r)
		}
		for _, n := range allNodes(parser(t).Model.Node)[1:] {
			if !strings.Contains(r.stdout, n.Name) {
				t.Errorf("%s: no %s", shell, n.Name)
			}
			for _, f := range n.Flags {
				if !strings.Contains(r.stdout, f.Name) {
					t.Errorf("%s: no --%s", shell, f.Name)
				}
			}
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		c := exec.Command(path, "-n", "/dev/stdin")
		c.Stdin = bytes.NewBufferString(r.stdout)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
}
