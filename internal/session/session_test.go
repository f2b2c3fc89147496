package session

import (
	"slices"
	"testing"
)

const document = "# A document\n\n```console\n$ pgincr list\n20260101T000000Z-F  full\n$ cat <<END\n> a\n> END\na\n" +
	"# mount\n```\n\n```\n$ not run\n```\n"

// Commands come with what they print and where that stands.
func TestParse(t *testing.T) {
	got, err := Parse(document)
	want := []Command{
		{Line: 4, Text: "pgincr list", Output: "20260101T000000Z-F  full\n", FirstOut: 5, EndOut: 6},
		{Line: 6, Text: "cat <<END\na\nEND", Output: "a\n", FirstOut: 9, EndOut: 10},
		{Line: 10, Root: true, Text: "mount", FirstOut: 11, EndOut: 11},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{
		"```console\noutput\n```\n", "```console\n$ a\n", "```console\n$ a\n```\n```console\nb\n```\n",
	} {
		if got, err := Parse(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
	if b := Before("x\n<!-- begins where docs/a.md ends -->\n"); b != "docs/a.md" || Before(document) != "" {
		t.Errorf("begins where %q ends", b)
	}
}

// What differs each time matches what is of its kind, and nothing else.
func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		want, got string
		match     bool
	}{
		{"one\ntwo\n", "one\ntwo\n", true},
		{"one\n", "one\ntwo\n", false},
		{"one\n", "two\n", false},
		{"", "x\n", false},
		{"one\n…\n", "one\n", true},
		{"one\n…\nfour\n", "one\ntwo\nthree\nfour\n", true},
		{"one\n…\nfour\n", "one\ntwo\nfour\nfive\n", false},
		{"by … it\n", "by all of it\n", true},
		{"by … it\n", "by all of\n", false},
		{"20260101T000000Z-F in 3.09s\n", "20270202T010203Z-F in 1m12s\n", true},
		{"20260101T000000Z-F\n", "20270202T010203Z\nF\n", false},
		{"a   10.5 MB\n", "a 7 kB   \n", true},
		{"rows 3000\n", "rows 3001\n", false},
		{"0/3000028 is there\n", "1/AB000060 is there\n", true},
		{"at 2026-11-23 14:05:00.5+00\n", "at 2027-01-02 03:04:05+00\n", true},
		{"at 2026-11-23 14:05:00.5+00\n", "at noon\n", false},
		{"000000010000000000000005\n", "00000002000000AB00000006\n", true},
		{"  pages  1 of 2 stored (50 %)\n", "  pages     77 of 1234 stored (0.6 %)\n", true},
	} {
		if got := (Bindings{}).Match(tt.want, tt.got); got != tt.match {
			t.Errorf("%q and %q: %v", tt.want, tt.got, got)
		}
	}
}

// A name that a run has given in place of the document's is used from then on, and only it.
func TestBindings(t *testing.T) {
	b := Bindings{}
	if !b.Match("backup 20260101T000000Z-F from 0/2000028\n", "backup 20270202T010203Z-F from 0/9000028\n") {
		t.Fatal("no match")
	}
	want := "pgincr show 20270202T010203Z-F --at 0/9000028"
	if got := b.Command("pgincr show 20260101T000000Z-F --at 0/2000028"); got != want {
		t.Error(got)
	}
	if got := b.Document("x 20270202T010203Z-F"); got != "x 20260101T000000Z-F" {
		t.Error(got)
	}
	if b.Match("parent 20260101T000000Z-F\n", "parent 20280303T000000Z-F\n") {
		t.Error("another backup under the same name")
	}
}
