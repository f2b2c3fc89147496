package expire

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) // a Tuesday

// at makes a backup that finished so many hours before now. It begins in the WAL segment of the hour, and
// needs this one.
func at(id, parent string, hours int) *repo.Manifest {
	g := pg.DefaultGeometry()
	kind := repo.TypeFull
	if parent != "" {
		kind = repo.TypeIncremental
	}
	segment := pg.SegNo(100_000 - hours)
	start := g.SegmentStart(segment) + 0x28
	return &repo.Manifest{
		ID: id, Parent: parent, Type: kind, Status: repo.StatusOK, Timeline: 1, Geometry: g,
		StartLSN: start, StopLSN: start + 0x100, FinishedAt: now.Add(-time.Duration(hours) * time.Hour),
		WAL: repo.WALNeed{Mode: repo.WALArchived, Segments: []string{g.WALFileName(1, segment)}},
	}
}

// weekly is a full backup on each of some Sundays and an incremental on each day between, the newest last.
func weekly(weeks int) []*repo.Manifest {
	var all []*repo.Manifest
	full, parent := "", ""
	for day := weeks*7 + 1; day >= 0; day-- {
		id := now.AddDate(0, 0, -day).Format("0102")
		if (day-2)%7 == 0 {
			full, parent = id+"F", ""
			id = full
		}
		if full == "" {
			continue
		}
		all = append(all, at(id, parent, day*24+1))
		parent = id
	}
	return all
}

func kept(verdicts []*Verdict, only func(*Verdict) bool) string {
	var ids []string
	for _, v := range verdicts {
		if only(v) {
			ids = append(ids, v.Manifest.ID)
		}
	}
	return strings.Join(ids, " ")
}

// What each rule keeps, and of which of that recovery can go on.
func TestRules(t *testing.T) {
	week := "1122F 1123 1124"
	for _, tt := range []struct {
		name         string
		policy       Policy
		kept, follow string
		reasons      map[string]string
		pinned, used map[string]string
		damaged      map[string]string
	}{
		{name: "one full", policy: Policy{KeepFull: 1}, kept: week, follow: week, reasons: map[string]string{
			"1122F": "the newest full; full 1 of 1", "1123": "built on full 1122F", "1121": "no rule keeps it",
			"1124": "the newest; built on full 1122F",
		}},
		{
			name: "two fulls", policy: Policy{KeepFull: 2},
			kept: "1115F 1116 1117 1118 1119 1120 1121 " + week, follow: "1115F 1116 1117 1118 1119 1120 1121 " + week,
		},
		{
			name: "days reach back to a backup before them", policy: Policy{KeepDays: 3},
			kept: "1115F 1116 1117 1118 1119 1120 1121 " + week, follow: "1121 " + week,
			reasons: map[string]string{
				"1121": "the last before the 3 days", "1122F": "the newest full; within 3 days",
				"1120": "backup 1121 is built on it",
			},
		},
		{name: "more days than there are", policy: Policy{KeepDays: 400}, kept: "*", follow: "*"},
		{
			name: "daily", policy: Policy{KeepDaily: 2}, kept: week, follow: "1123 1124",
			reasons: map[string]string{"1124": "the newest; daily 2026-11-24", "1122F": "the newest full"},
		},
		{
			name: "weekly keeps no WAL behind", policy: Policy{KeepWeekly: 2}, follow: "1124",
			kept: week, // a week ends on Sunday, as the 22nd was
			reasons: map[string]string{
				"1122F": "the newest full; weekly 2026-W47", "1124": "the newest; weekly 2026-W48", "1121": "no rule keeps it",
			},
		},
		{
			name: "pinned", policy: Policy{KeepFull: 1}, pinned: map[string]string{"1101F": "pinned by me"},
			kept: "1101F " + week, follow: week,
		},
		{
			name: "used", policy: Policy{KeepFull: 1}, used: map[string]string{"1102": "using 1102"},
			kept: "1101F 1102 " + week, follow: "1102 " + week,
		},
		{
			name: "a window of WAL", policy: Policy{KeepFull: 2, WALDays: 1}, follow: "1123 1124",
			kept: "1115F 1116 1117 1118 1119 1120 1121 " + week,
		},
		{
			name: "damaged count for nothing and stay", policy: Policy{KeepFull: 1},
			damaged: map[string]string{"1122F": "x", "1123": "x", "1124": "x"},
			kept:    "1115F 1116 1117 1118 1119 1120 1121 " + week, follow: "1115F 1116 1117 1118 1119 1120 1121",
			reasons: map[string]string{"1122F": "damaged: x", "1121": "the newest; built on full 1115F"},
		},
		{
			name: "damaged go", policy: Policy{KeepFull: 1, Damaged: true}, damaged: map[string]string{"1123": "x", "1124": "x"},
			kept: "1122F", follow: "1122F", reasons: map[string]string{"1123": "damaged: x"},
		},
		{
			name: "the last go not, whatever they are", policy: Policy{KeepFull: 1, Damaged: true}, kept: "*",
			damaged: func() map[string]string {
				all := map[string]string{}
				for _, m := range weekly(4) {
					all[m.ID] = "x"
				}
				return all
			}(),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := weekly(4)
			verdicts := judge(tt.policy, now, all, func(m *repo.Manifest) string { return tt.damaged[m.ID] }, tt.pinned, tt.used)
			everything := kept(verdicts, func(*Verdict) bool { return true })
			want, follow := strings.ReplaceAll(tt.kept, "*", everything), strings.ReplaceAll(tt.follow, "*", everything)
			if d := cmp.Diff(want, kept(verdicts, func(v *Verdict) bool { return v.Keep })); d != "" {
				t.Error("kept", d)
			}
			if d := cmp.Diff(follow, kept(verdicts, func(v *Verdict) bool { return v.Keep && v.follow })); d != "" {
				t.Error("of which recovery goes on", d)
			}
			for _, v := range verdicts {
				if want, ok := tt.reasons[v.Manifest.ID]; ok && strings.Join(v.Reasons, "; ") != want {
					t.Errorf("%s: %q, want %q", v.Manifest.ID, v.Reasons, want)
				}
			}
		})
	}
}

// Whatever backups there are and whatever is asked: a kept backup has its whole chain, and the WAL that it and
// recovery from it need; the minimum stays; asking for more keeps no less.
func TestKeptIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []*repo.Manifest
		damage, pinned, used := map[string]string{}, map[string]string{}, map[string]string{}
		hours := rapid.IntRange(0, 2000).Draw(t, "begin")
		for i := range rapid.IntRange(1, 25).Draw(t, "backups") {
			parent := ""
			if i > 0 && rapid.IntRange(0, 3).Draw(t, "incremental") > 0 {
				parent = all[rapid.IntRange(max(0, i-4), i-1).Draw(t, "parent")].ID
			}
			hours = max(0, hours-rapid.IntRange(0, 100).Draw(t, "later"))
			m := at(fmt.Sprintf("b%02d", i), parent, hours)
			all = append(all, m)
			if damage[parent] != "" || rapid.IntRange(0, 9).Draw(t, "damaged") == 0 {
				damage[m.ID] = "x"
			}
			for _, held := range []map[string]string{pinned, used} {
				if rapid.IntRange(0, 12).Draw(t, "held") == 0 {
					held[m.ID] = "held"
				}
			}
		}
		number := rapid.IntRange(0, 6)
		p := Policy{
			KeepFull: number.Draw(t, "full"), KeepDays: number.Draw(t, "days"), KeepDaily: number.Draw(t, "daily"),
			KeepWeekly: number.Draw(t, "weekly"), KeepMonthly: number.Draw(t, "monthly"), WALDays: number.Draw(t, "wal"),
			Damaged: rapid.Bool().Draw(t, "remove damaged"),
		}
		damaged := func(m *repo.Manifest) string { return damage[m.ID] }
		verdicts := judge(p, now, all, damaged, pinned, used)
		byID := map[string]*Verdict{}
		var good []*Verdict
		for _, v := range verdicts {
			byID[v.Manifest.ID] = v
			if v.Damage == "" {
				good = append(good, v)
			}
			if len(v.Reasons) == 0 {
				t.Errorf("%s: no reason", v.Manifest.ID)
			}
		}
		for id, v := range byID {
			if parent := byID[v.Manifest.Parent]; v.Keep && parent != nil && !parent.Keep {
				t.Errorf("%s stays without its parent", id)
			}
			if (pinned[id] != "" || used[id] != "") && !v.Keep {
				t.Errorf("%s is held and goes", id)
			}
		}
		newest := func(v, w *Verdict) int { return v.Manifest.FinishedAt.Compare(w.Manifest.FinishedAt) }
		if len(good) > 0 && !slices.ContainsFunc(good, func(v *Verdict) bool {
			return v.Keep && newest(v, slices.MaxFunc(good, newest)) == 0
		}) {
			t.Error("the newest goes")
		}
		limit := ago(now, p.KeepDays)
		if p.KeepDays > 0 && p.WALDays == 0 {
			for _, v := range good {
				if v.Manifest.FinishedAt.Before(limit) && !slices.ContainsFunc(good, func(w *Verdict) bool {
					return w.Keep && w.follow && newest(w, v) >= 0 && w.Manifest.FinishedAt.Before(limit)
				}) {
					t.Errorf("the beginning of the days cannot be restored, although there is %s", v.Manifest.ID)
				}
			}
		}
		more := p
		more.KeepFull, more.KeepDays, more.KeepDaily = p.KeepFull+1, p.KeepDays+1, p.KeepDaily+1
		more.KeepWeekly, more.KeepMonthly = p.KeepWeekly+1, p.KeepMonthly+1
		for i, v := range judge(more, now, all, damaged, pinned, used) {
			if verdicts[i].Keep && !v.Keep {
				t.Errorf("%s goes when more is asked for", v.Manifest.ID)
			}
		}
		verifyWAL(t, verdicts)
	})
}

// verifyWAL holds what is kept of an archive without gaps against a plain statement of what has to be.
func verifyWAL(t *rapid.T, verdicts []*Verdict) {
	g := pg.DefaultGeometry()
	var names []string
	for n := pg.SegNo(97_900); n <= 100_010; n++ {
		names = append(names, g.WALFileName(1, n))
	}
	var keep []*Verdict
	want := map[string]bool{}
	for _, v := range verdicts {
		if !v.Keep {
			continue
		}
		keep = append(keep, v)
		want[v.Manifest.WAL.Segments[0]] = true
		for _, name := range names {
			if v.follow && name >= v.Manifest.WAL.Segments[0] {
				want[name] = true
			}
		}
	}
	n := newNeed(g, keep, map[pg.TimelineID]*pg.History{1: {Timeline: 1}}, nil)
	ranges, remove := n.sortWAL(1, names)
	if len(keep) == 0 {
		if len(remove) > 0 {
			t.Error("no backup, and WAL goes")
		}
		return
	}
	gone := map[string]bool{}
	for _, name := range remove {
		gone[name] = true
	}
	for _, name := range names {
		if gone[name] == want[name] {
			t.Errorf("%s: removed %v, needed %v", name, gone[name], want[name])
		}
	}
	told := 0
	for _, r := range ranges {
		told += r.Segments
	}
	if told != len(names) {
		t.Errorf("%d of %d segments are told", told, len(names))
	}
	if maps := n.sortMaps([]string{names[0], names[0] + "-" + names[15]}); len(maps) == 2 && want[names[5]] {
		t.Error("a map of needed WAL goes")
	}
}
