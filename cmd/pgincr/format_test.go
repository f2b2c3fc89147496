package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/internal/human"
)

// Durations and percentages are as precise as people read them.
func TestOtherTexts(t *testing.T) {
	got := []string{
		durationText(1234567 * time.Microsecond), durationText(12345 * time.Millisecond),
		durationText(3*time.Hour + 90*time.Second),
		percentText(0, 0), percentText(0, 10), percentText(1, 1000), percentText(50, 100), percentText(100, 100),
		human.Time(time.Time{}), human.Time(time.Unix(0, 0)), versionText(150018), versionText(170000),
	}
	want := []string{
		"1.23s", "12.3s", "3h1m30s", "0 %", "0 %", "0.1 %", "50 %", "100 %",
		"-", "1970-01-01 00:00:00Z", "15.18", "17",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// sh reads back every quoted word as it was.
func TestShellQuote(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		word := rapid.StringOf(rapid.RuneFrom([]rune("a'\"$`\\ \n%*~!#&|;<>()é=-"))).Draw(rt, "word")
		out, err := exec.Command("sh", "-c", "printf %s "+shellQuote(word)).Output()
		if err != nil || string(out) != word {
			rt.Fatalf("%q: %q, %v", word, out, err)
		}
	})
	if got := shellQuote("/usr/bin/pgincr"); got != "/usr/bin/pgincr" {
		t.Errorf("quoted without need: %s", got)
	}
}

// Two services may have buckets of one name. Directories may have any name.
func TestRepoName(t *testing.T) {
	for url, want := range map[string]string{
		"s3://b/p?region=r&endpoint=https://x": "s3://b/p?endpoint=https://x",
		"azblob://c/p?account=a&timeout=1s":    "azblob://c/p?account=a",
		"s3://b/p?secret=x":                    "s3://b/p",
		"/a?b":                                 "/a?b",
	} {
		if got := repoName(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

// restore_command survives both readers: PostgreSQL's placeholders, then the shell.
func TestWALRestoreCommand(t *testing.T) {
	c := &commonFlags{Repo: "/b p/100%f", Cluster: "main", Config: "/etc/pg incr.yaml"}
	got := walRestoreCommand("/opt/it's/pgincr", c, c.reposToReadFrom()...)
	want := `'/opt/it'\''s/pgincr' archive-get --repo '/b p/100%%f' --cluster main --config '/etc/pg incr.yaml' %f "%p"`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c = &commonFlags{Repo: "file:///x", Repos: []string{"rel", "file:///x"}, Cluster: "c"}
	got = walRestoreCommand("/p", c, c.reposToReadFrom()...)
	if !strings.HasPrefix(got, "/p archive-get --repo file:///x --repo /") || strings.Count(got, "--repo") != 2 {
		t.Errorf("depends on the working directory, changes a URL or the order: %s", got)
	}
}

// Rates are pg_basebackup's: kilobytes without a suffix.
func TestRate(t *testing.T) {
	for s, want := range map[string]rate{"32": 32 << 10, "32k": 32 << 10, "5M": 5 << 20, "2G": 2 << 30} {
		var r rate
		if err := r.UnmarshalText([]byte(s)); err != nil || r != want {
			t.Errorf("%s: %d, %v", s, r, err)
		}
	}
	for _, s := range []string{"", "0", "-1", "1.5M", "M", "fast", "1T", "9223372036854775807G"} {
		var r rate
		if err := r.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%s: %d", s, r)
		}
	}
}

// OLD=NEW with escaped equals signs, as pg_basebackup takes it.
func TestAssignments(t *testing.T) {
	for s, want := range map[string]assignment{
		"a=b": {"a", "b"}, "a=": {"a", ""}, "a=b=c": {"a", "b=c"}, `a\=b=c`: {"a=b", "c"}, `/x=/y\=z`: {"/x", "/y=z"},
	} {
		var a assignment
		if err := a.UnmarshalText([]byte(s)); err != nil || a != want {
			t.Errorf("%s: %+v, %v", s, a, err)
		}
	}
	for _, s := range []string{"", "a", "=b", `a\=b`} {
		var a assignment
		if err := a.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%s: %+v", s, a)
		}
	}
	if _, err := assignments([]assignment{{"a", "b"}, {"a", "c"}}); err == nil {
		t.Error("the same key twice")
	}
}
