package pg

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

const labelText = `START WAL LOCATION: 16/2000028 (file 000000030000001600000002)
CHECKPOINT LOCATION: 16/2000060
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: 2026-11-23 21:09:00 UTC
LABEL: nightly
START TIMELINE: 3
`

// The label's fields are read as the server wrote them, on every version.
func TestParseBackupLabel(t *testing.T) {
	want := BackupLabel{
		Start: 0x16_02000028, StartSegment: "000000030000001600000002", Checkpoint: 0x16_02000060,
		Method: "streamed", From: "primary", Label: "nightly", Timeline: 3,
		StartTime: time.Date(2026, 11, 23, 21, 9, 0, 0, time.UTC),
	}
	replace := func(from, to string) string { return strings.Replace(labelText, from, to, 1) }
	for _, c := range []struct {
		name, text string
		change     func(*BackupLabel)
	}{
		{"18", labelText, func(*BackupLabel) {}},
		{"13", replace("primary", "master"), func(*BackupLabel) {}},
		{"standby", replace("primary", "standby"), func(l *BackupLabel) { l.From = "standby" }},
		{"empty label", replace("nightly", ""), func(l *BackupLabel) { l.Label = "" }},
		{
			"label of several lines", replace("nightly", "a\nSTART TIMELINE: 9\nb"),
			func(l *BackupLabel) { l.Label = "a\nSTART TIMELINE: 9\nb" },
		},
		{"zone by name", replace("UTC", "CET"), func(*BackupLabel) {}},
		{"zone by number", replace("UTC", "+05"), func(l *BackupLabel) { l.StartTime = l.StartTime.Add(-5 * time.Hour) }},
		{"zone by minutes", replace("UTC", "-0330"), func(l *BackupLabel) {
			l.StartTime = l.StartTime.Add(210 * time.Minute)
		}},
		{"no zone", replace(" UTC", ""), func(*BackupLabel) {}},
		{"no line end", strings.TrimSuffix(labelText, "\n"), func(*BackupLabel) {}},
	} {
		want := want
		c.change(&want)
		got, err := ParseBackupLabel([]byte(c.text))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
}

// What no server writes is refused with the line at fault.
func TestParseBackupLabelRefuses(t *testing.T) {
	for name, c := range map[string][2]string{
		"position":         {"16/2000028", "16-2000028"},
		"file":             {"000000030000001600000002", "00000003000000160000000"},
		"no file":          {" (file 000000030000001600000002)", ""},
		"other timeline":   {"(file 00000003", "(file 00000004"},
		"checkpoint":       {"16/2000060", "x"},
		"missing line":     {"BACKUP METHOD: streamed\n", ""},
		"order":            {"BACKUP METHOD: streamed\nBACKUP FROM: primary", "BACKUP FROM: primary\nBACKUP METHOD: x"},
		"from":             {"primary", "elsewhere"},
		"time":             {"2026-11-23", "23.11.2026"},
		"short time":       {"2026-11-23 21:09:00 UTC", "2026"},
		"no label":         {"LABEL", "LABLE"},
		"timeline":         {"TIMELINE: 3", "TIMELINE: x"},
		"timeline 0":       {"TIMELINE: 3", "TIMELINE: 0"},
		"incremental":      {"TIMELINE: 3\n", "TIMELINE: 3\nINCREMENTAL FROM LSN: 0/28\n"},
		"carriage returns": {"\n", "\r\n"},
	} {
		text := strings.Replace(labelText, c[0], c[1], 1)
		if l, err := ParseBackupLabel([]byte(text)); err == nil {
			t.Errorf("%s: parsed as %+v", name, l)
		}
	}
	for n := range labelText[:strings.Index(labelText, "START TIMELINE")] {
		if _, err := ParseBackupLabel([]byte(labelText[:n])); err == nil {
			t.Errorf("the first %d bytes are a label", n)
		}
	}
}

func FuzzParseBackupLabel(f *testing.F) {
	f.Add([]byte(labelText))
	f.Add([]byte(strings.Replace(labelText, "UTC", "+05", 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseBackupLabel(b)
		if err == nil && (l.Timeline == 0 || !IsWALFileName(l.StartSegment) || l.From == "") {
			t.Errorf("%q is %+v", b, l)
		}
	})
}

// A tablespace_map is read as the server wrote it, with line breaks and backslashes in paths.
func TestParseTablespaceMap(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []TablespaceLink
		ok   bool
	}{
		{"", nil, true},
		{"16400 /srv/ts\n16401 /srv/with space \n", []TablespaceLink{{16400, "/srv/ts"}, {16401, "/srv/with space "}}, true},
		{"16400 /srv/a\\\nb\\\\c\\\rd\n", []TablespaceLink{{16400, "/srv/a\nb\\c\rd"}}, true},
		{"16400 /srv/a\\b\n", []TablespaceLink{{16400, "/srv/a\\b"}}, true}, // 13 escaped line breaks only
		{"16400 /srv/ts\r\n", []TablespaceLink{{16400, "/srv/ts"}}, true},
		{"16400 /srv/ts", []TablespaceLink{{16400, "/srv/ts"}}, true},
		{"16400\n", nil, false},
		{"16400 \n", nil, false},
		{"x /srv\n", nil, false},
		{"0 /srv\n", nil, false},
		{"4294967296 /srv\n", nil, false},
		{"16400 /srv\x00x\n", nil, false},
	} {
		got, err := ParseTablespaceMap([]byte(c.in))
		if (err == nil) != c.ok {
			t.Errorf("%q: %v", c.in, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q: %s", c.in, diff)
		}
	}
}

// FormatTablespaceMap and ParseTablespaceMap are inverses.
func TestTablespaceMapInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.Custom(func(t *rapid.T) TablespaceLink {
			return TablespaceLink{
				OID:  OID(rapid.Uint32Range(1, 0xFFFFFFFF).Draw(t, "oid")),
				Path: rapid.StringMatching(`[/ \\\n\ra-b]{1,9}`).Draw(t, "path"),
			}
		})).Draw(t, "links")
		got, err := ParseTablespaceMap(FormatTablespaceMap(want))
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%q: %v %s", FormatTablespaceMap(want), err, diff)
		}
	})
}

func FuzzParseTablespaceMap(f *testing.F) {
	f.Add([]byte("16400 /srv/a\\\nb\\\\c\n16401 /x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		links, err := ParseTablespaceMap(b)
		if err != nil {
			return
		}
		again, err := ParseTablespaceMap(FormatTablespaceMap(links))
		if diff := cmp.Diff(links, again); err != nil || diff != "" {
			t.Errorf("%q: %v %s", b, err, diff)
		}
	})
}
