package restore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/repo"
)

// The restored server is told to recover from the archive exactly where it has to.
func TestNewRecovery(t *testing.T) {
	archived := &repo.Manifest{DataDirectory: "/d", WAL: repo.WALNeed{Mode: repo.WALArchived}}
	carried := &repo.Manifest{DataDirectory: "/d", WAL: repo.WALNeed{Mode: repo.WALCarried}}
	for name, tc := range map[string]struct {
		m         *repo.Manifest
		o         Options
		continues bool
		signal    string
		copyWAL   bool
		has, not  []Setting
	}{
		"archived": {
			m: archived, o: Options{Target: "/d", RestoreCommand: "get"}, signal: recoverySignal,
			has: []Setting{{"restore_command", "get"}, {"recovery_target_timeline", "latest"}, {"recovery_target_lsn", ""}},
			not: []Setting{{"archive_mode", "off"}},
		},
		"elsewhere": {
			m: archived, o: Options{Target: "/e", RestoreCommand: "get"}, signal: recoverySignal,
			has: []Setting{{"archive_mode", "off"}},
		},
		"elsewhere, archiving": {
			m: archived, o: Options{Target: "/e", RestoreCommand: "get", PreserveArchiveMode: true}, signal: recoverySignal,
			not: []Setting{{"archive_mode", "off"}},
		},
		"carried": {m: carried, o: Options{Target: "/d", RestoreCommand: "get"}, copyWAL: true},
		"carried, archive continues": {
			m: carried, o: Options{Target: "/d", RestoreCommand: "get"}, continues: true,
			signal: recoverySignal, copyWAL: true,
		},
		"carried, no command":          {m: carried, o: Options{Target: "/d"}, continues: true, copyWAL: true},
		"archived, no restore command": {m: archived, o: Options{Target: "/d"}, copyWAL: true},
		"carried, with a target": {
			m: carried, o: Options{
				Target: "/d", RestoreCommand: "get",
				TargetOptions: TargetOptions{LSN: "0/3000000", Exclusive: true},
			},
			signal: recoverySignal, copyWAL: true, has: []Setting{
				{"recovery_target_lsn", "0/3000000"},
				{"recovery_target_inclusive", "off"},
			},
		},
		"standby": {
			m: archived, o: Options{Target: "/d", RestoreCommand: "get", Standby: true, PrimaryConninfo: "host=x"},
			signal: standbySignal, has: []Setting{{"primary_conninfo", "host=x"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := newRecovery(tc.m, &tc.o, archiveLine{continues: tc.continues})
			if err != nil {
				t.Fatal(err)
			}
			if r.Signal != tc.signal || r.CopyWAL != tc.copyWAL {
				t.Errorf("got signal %q, copy %v; want %q, %v", r.Signal, r.CopyWAL, tc.signal, tc.copyWAL)
			}
			have := map[Setting]bool{}
			for _, s := range r.Settings {
				have[s] = true
			}
			for _, s := range tc.has {
				if !have[s] {
					t.Errorf("%v is missing in %v", s, r.Settings)
				}
			}
			for _, s := range tc.not {
				if have[s] {
					t.Errorf("%v should not be there", s)
				}
			}
		})
	}
}

// The target that is meant is set after those that are not: the server fails on a target that is
// cleared while another is set.
func TestTargetComesLast(t *testing.T) {
	o := &Options{RestoreCommand: "get", TargetOptions: TargetOptions{Name: "before drop"}}
	s := recoverySettings(o)
	seen := -1
	for i, e := range s {
		switch {
		case e.Name == "recovery_target_name":
			seen = i
		case seen >= 0 && e.Value == "" && strings.HasPrefix(e.Name, "recovery_target"):
			t.Errorf("%s is cleared after the target is set", e.Name)
		}
	}
	if seen < 0 {
		t.Error("target not set")
	}
}

// What was in postgresql.auto.conf stays, and values survive the server's lexer.
func TestAppendSettings(t *testing.T) {
	got := appendSettings([]byte("work_mem = '4MB'"),
		[]Setting{{"restore_command", `cp 'a b' "\x" %p`}, {"recovery_target", ""}}, "B")
	want := "work_mem = '4MB'\n# pgincr restore of backup B\n" +
		"restore_command = 'cp ''a b'' \"\\\\x\" %p'\nrecovery_target = ''\n"
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
	if got := quote("a\nb"); got != `'a\nb'` {
		t.Errorf("line break: %s", got)
	}
}

// Targets that the server would refuse, or that this backup cannot reach, are refused before anything is written.
func TestTargetVerify(t *testing.T) {
	m := &repo.Manifest{ID: "B", StopLSN: 0x3000100, FinishedAt: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	var option *OptionError
	var reach *ReachError
	for name, tc := range map[string]struct {
		t    TargetOptions
		want any
	}{
		"none":               {TargetOptions{}, nil},
		"lsn":                {TargetOptions{LSN: "0/3000100"}, nil},
		"lsn before":         {TargetOptions{LSN: "0/30000FF"}, &reach},
		"lsn malformed":      {TargetOptions{LSN: "3000100"}, &option},
		"time":               {TargetOptions{Time: "2026-11-23 11:00:00+00"}, nil},
		"time before":        {TargetOptions{Time: "2026-11-23 09:00:00+00"}, &reach},
		"time malformed":     {TargetOptions{Time: "yesterday"}, &option},
		"two":                {TargetOptions{LSN: "0/3000100", XID: "700"}, &option},
		"xid":                {TargetOptions{XID: "700", Exclusive: true}, nil},
		"xid malformed":      {TargetOptions{XID: "7x"}, &option},
		"xid special":        {TargetOptions{XID: "2"}, &option},
		"name":               {TargetOptions{Name: "x", Action: "promote"}, nil},
		"name too long":      {TargetOptions{Name: strings.Repeat("x", 64)}, &option},
		"exclusive of name":  {TargetOptions{Name: "x", Exclusive: true}, &option},
		"action alone":       {TargetOptions{Action: "promote"}, &option},
		"action unknown":     {TargetOptions{Immediate: true, Action: "stop"}, &option},
		"timeline":           {TargetOptions{Timeline: "3"}, nil},
		"timeline current":   {TargetOptions{Timeline: "current"}, nil},
		"timeline malformed": {TargetOptions{Timeline: "newest"}, &option},
		"timeline zero":      {TargetOptions{Timeline: "0"}, &option},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.t.verify(m)
			if tc.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.As(err, tc.want) {
				t.Errorf("got %v, want %T", err, tc.want)
			}
		})
	}
}

// Times are understood in the forms that people and PostgreSQL write; without zone they are local.
func TestParseTargetTime(t *testing.T) {
	utc := time.Date(2026, 11, 23, 21, 9, 5, 250e6, time.UTC)
	for _, s := range []string{
		"2026-11-23 21:09:05.25+00", "2026-11-23T21:09:05.25Z", "2026-11-23 22:09:05.25 +01:00",
		"2026-11-23 22:09:05.25+0100", "2026-11-23 21:09:05.25 UTC",
	} {
		if got, err := ParseTargetTime(s); err != nil || !got.Equal(utc) {
			t.Errorf("%s: got %v, %v", s, got, err)
		}
	}
	local := time.Date(2026, 11, 23, 21, 9, 0, 0, time.Local)
	for _, s := range []string{"2026-11-23 21:09", "2026-11-23 21:09:00"} {
		if got, err := ParseTargetTime(s); err != nil || !got.Equal(local) {
			t.Errorf("%s: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "now", "2026-11-23 21:09 XYZ", "23.11.2026", "2026-13-01 00:00"} {
		if got, err := ParseTargetTime(s); err == nil {
			t.Errorf("%q: accepted as %v", s, got)
		}
	}
}
