package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parse parses a command line with a configuration file.
func parse(t *testing.T, file string, args ...string) (*grammar, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pgincr.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	var g grammar
	k, err := newParser(&g, newProgram(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Parse(append(args, "--config", path))
	return &g, err
}

// A value comes from the flag, else the environment, else the file (the most
// particular section), else the default.
func TestConfigOrder(t *testing.T) {
	const file = `
repo: /top
jobs: 2
page-map: lsn
host: filehost
verbose: yes
annotate: {who: me, "a=b": c}
backup:
  page-map: wal
  pgdata: /backup
clusters:
  sales:
    repo: /sales
    backup: {rate: 2M, pgdata: /srv/sales}
    list: {json: true}
  hr:
    repo: /hr
  two: {repo: [/a, /b]}
`
	for _, tt := range []struct {
		name string
		env  string
		args []string
		want string
	}{
		{"file", "", []string{"backup"}, "/top main 2 wal /backup filehost 0"},
		{"flag", "", []string{"backup", "-R", "/flag", "--page-map", "hash", "-h", "x"}, "/flag main 2 hash /backup x 0"},
		{"environment", "PGINCR_REPO=/env", []string{"backup"}, "/env main 2 wal /backup filehost 0"},
		{"libpq's environment", "PGHOST=envhost", []string{"backup"}, "/top main 2 wal /backup  0"},
		{"cluster by flag", "", []string{"backup", "--cluster", "sales"}, "/sales sales 2 wal /srv/sales filehost 2097152"},
		{"cluster by environment", "PGINCR_CLUSTER=hr", []string{"backup"}, "/hr hr 2 wal /backup filehost 0"},
		{"several in the file", "", []string{"backup", "--cluster", "two"}, "/a+/b two 2 wal /backup filehost 0"},
		{"several flags", "", []string{"backup", "-R", "/c", "-R", "/d,e"}, "/c+/d,e main 2 wal /backup filehost 0"},
		{"flag over several", "", []string{"backup", "--cluster", "two", "-R", "/c"}, "/c two 2 wal /backup filehost 0"},
		{
			"several in the environment", "PGINCR_REPO=/x\n/y",
			[]string{"backup", "--cluster", "two"},
			"/x+/y two 2 wal /backup filehost 0",
		},
		{"unknown cluster", "", []string{"backup", "--cluster", "x"}, "/top x 2 wal /backup filehost 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if k, v, ok := strings.Cut(tt.env, "="); ok {
				t.Setenv(k, v)
			}
			g, err := parse(t, file, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			b := g.Backup
			got := strings.Join([]string{
				strings.Join(g.Repos, "+"), g.Cluster, formatInt(g.Jobs), b.PageMap, b.PGData, b.Host, formatInt(int(b.Rate)),
			}, " ")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			annotations, err := assignments(b.Annotate)
			if diff := cmp.Diff(map[string]string{"who": "me", "a=b": "c"}, annotations); diff != "" || err != nil {
				t.Error(diff, err)
			}
			if !g.Verbose {
				t.Error("verbose: yes is not true")
			}
		})
	}
}

// The file's own cluster: chooses the section.
func TestConfigCluster(t *testing.T) {
	g, err := parse(t, "cluster: hr\nclusters: {hr: {repo: /hr}}", "list")
	if err != nil || !slices.Equal(g.Repos, []string{"/hr"}) || g.Cluster != "hr" {
		t.Errorf("%+v, %v", g.commonFlags, err)
	}
}

// What is wrong in the file is told with its line and, where there is one, a
// suggestion; nothing is ignored.
func TestConfigErrors(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"unknown key", "repo: /x\npage_mapp: wal", `line 2: unknown key "page_mapp", did you mean "page-map"?`},
		{"nothing near", "xyzzy: 1", `line 1: unknown key "xyzzy"`},
		{"unknown in command", "list:\n  page-map: wal", `line 2: unknown key "page-map"`},
		{"unknown in cluster", "clusters:\n  a:\n    repos: /x", `line 3: unknown key "repos", did you mean "repo"?`},
		{"clusters in cluster", "clusters:\n  a:\n    clusters: {}", `line 3: unknown key "clusters"`},
		{"config in config", "config: /x", `unknown key "config"`},
		{"cluster in cluster", "clusters:\n  a: {cluster: b}", `line 2: unknown key "cluster"`},
		{"no value", "repo:", `line 1: repo: no value`},
		{"list for one", "jobs: [1, 2]", `line 1: jobs: expected one value`},
		{"not a mapping", "- repo", "line 1: expected a mapping"},
		{"not yaml", "repo: [", "configuration file"},
		{"twice", "repo: a\nrepo: b", `line 2: key "repo" stands there twice`},
		{"wrong type", "jobs: many", "--jobs"},
		{"not an enumeration's", "page-map: magic", "magic"},
		{"not a bool", "verbose: maybe", `line 1: verbose: "maybe" is neither true nor false`},
		{"cluster section", "clusters: [a]", "line 1: clusters:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.file, "backup", "-R", "/r", "-D", "/d")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Empty files and comments are configuration files, too.
func TestConfigEmpty(t *testing.T) {
	for _, file := range []string{"", "\n", "# nothing\n", "---\n", "clusters:\n", "backup:\n"} {
		if _, err := parse(t, file, "list", "-R", "/r"); err != nil {
			t.Errorf("%q: %v", file, err)
		}
	}
}

// No file, however broken, makes the program panic.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		"repo: /x", "clusters: {a: {backup: {annotate: [a=b]}}}", "a: &a {repo: *a}", "? {a: b}\n: c",
		"backup: &b {rate: 1}\nclusters: {x: {backup: *b}}", "<<: {repo: x}", "annotate: {a: {b: c}}",
	} {
		f.Add(s)
	}
	var g grammar
	k, err := newParser(&g, newProgram(nil, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		_, _ = parseConfig([]byte(s), k.Model)
	})
}
