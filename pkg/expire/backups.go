package expire

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Verdict is what becomes of one backup.
type Verdict struct {
	Manifest *repo.Manifest
	Keep     bool
	Damage   string // why it cannot be restored; "": nothing is known against it
	// Reasons why it is kept, or the one why not.
	Reasons []string
	// follow: the WAL behind it is kept without a gap, so that recovery can go on from it.
	follow bool
}

func (v *Verdict) keep(reason string) {
	v.Keep = true
	if !slices.Contains(v.Reasons, reason) {
		v.Reasons = append(v.Reasons, reason)
	}
}

// damageOf says why a backup cannot be restored, or gives "".
type damageOf func(*repo.Manifest) string

// judge decides about all backups of a cluster. pinned and used say why a backup has to stay
// whatever the rules are, by id.
//
// Backups that cannot be restored count for no rule. They stay, unless the policy says otherwise.
func judge(
	p Policy, now time.Time, all []*repo.Manifest, damaged damageOf, pinned, used map[string]string,
) []*Verdict {
	j := &judgement{byID: map[string]*Verdict{}, manifests: map[string]*repo.Manifest{}}
	bad := map[*Verdict]string{}
	for _, m := range all {
		v := &Verdict{Manifest: m}
		j.all, j.byID[m.ID], j.manifests[m.ID] = append(j.all, v), v, m
		if why := damaged(m); why != "" {
			bad[v], v.Damage = why, why
		} else {
			j.good = append(j.good, v)
		}
	}
	for v, why := range bad {
		switch {
		case !p.Damaged:
			v.keep("damaged: " + why)
		case len(j.good) == 0:
			v.keep("damaged, but no other is left: " + why)
		default:
			v.Reasons = []string{"damaged: " + why}
		}
	}
	// The clock orders backups of different timelines, whose positions cannot be compared. A compacted backup is newer
	// than what it was compacted from, so that this can go.
	slices.SortStableFunc(j.good, func(a, b *Verdict) int {
		return cmp.Or(b.Manifest.FinishedAt.Compare(a.Manifest.FinishedAt),
			b.Manifest.CompactedAt.Compare(a.Manifest.CompactedAt), strings.Compare(b.Manifest.ID, a.Manifest.ID))
	})
	j.minimum()
	j.fulls(p.KeepFull)
	j.days(p.KeepDays, ago(now, p.KeepDays))
	j.calendar("daily", p.KeepDaily, true, func(t time.Time) string { return t.Format(time.DateOnly) })
	j.calendar("weekly", p.KeepWeekly, false, func(t time.Time) string {
		year, week := t.ISOWeek()
		return fmt.Sprintf("%d-W%02d", year, week)
	})
	j.calendar("monthly", p.KeepMonthly, false, func(t time.Time) string { return t.Format("2006-01") })
	for id, why := range pinned {
		if v := j.byID[id]; v != nil {
			v.keep(why)
		}
	}
	j.boundWAL(p.WALDays, ago(now, p.WALDays))
	for id, by := range used {
		if v := j.byID[id]; v != nil {
			v.keep(by)
			v.follow = true
		}
	}
	j.parents()
	for _, v := range j.all {
		if len(v.Reasons) == 0 {
			v.Reasons = []string{"no rule keeps it"}
		}
	}
	return j.all
}

// judgement is one call of judge at work.
type judgement struct {
	all  []*Verdict // as they were given
	good []*Verdict // that can be restored, newest first
	byID map[string]*Verdict

	manifests map[string]*repo.Manifest
}

// builtOn gives what a backup is built on, nil of a full one or where that is not there.
func (j *judgement) builtOn(v *Verdict) *Verdict {
	if parent := repo.BuiltOn(j.manifests, v.Manifest); parent != nil {
		return j.byID[parent.ID]
	}
	return nil
}

// minimum keeps what cannot be undercut.
func (j *judgement) minimum() {
	if len(j.good) > 0 {
		j.good[0].keep("the newest")
		j.good[0].follow = true
	}
	for _, v := range j.good {
		if v.Manifest.Type == repo.TypeFull {
			v.keep("the newest full")
			break
		}
	}
}

// fulls keeps the newest full backups with all that is built on them.
func (j *judgement) fulls(n int) {
	kept := map[string]int{}
	for _, v := range j.good {
		if v.Manifest.Type == repo.TypeFull && len(kept) < n {
			kept[v.Manifest.ID] = len(kept) + 1
			v.keep(fmt.Sprintf("full %d of %d", len(kept), n))
			v.follow = true
		}
	}
	for _, v := range j.good {
		if root := j.root(v); root != v.Manifest.ID && kept[root] > 0 {
			v.keep("built on full " + root)
			v.follow = true
		}
	}
}

// root gives the full backup that m is built on.
func (j *judgement) root(v *Verdict) string {
	for range len(j.all) {
		parent := j.builtOn(v)
		if parent == nil {
			break
		}
		v = parent
	}
	return v.Manifest.ID
}

// days keeps what is younger than limit, and the newest that is older.
func (j *judgement) days(n int, limit time.Time) {
	if n == 0 {
		return
	}
	for _, v := range j.good {
		v.follow = true
		if v.Manifest.FinishedAt.Before(limit) {
			v.keep(fmt.Sprintf("the last before the %d days", n))
			break
		}
		v.keep(fmt.Sprintf("within %d days", n))
	}
}

// calendar keeps the newest backup of each of the last n periods that have one.
func (j *judgement) calendar(rule string, n int, follow bool, period func(time.Time) string) {
	last := ""
	for _, v := range j.good {
		name := period(v.Manifest.FinishedAt.UTC())
		if name == last {
			continue
		}
		if n--; n < 0 {
			return
		}
		last = name
		v.keep(rule + " " + name)
		v.follow = v.follow || follow
	}
}

// boundWAL leaves the continuous WAL to what the last days need: the backups since limit, and the newest
// before.
func (j *judgement) boundWAL(n int, limit time.Time) {
	if n == 0 {
		return
	}
	reached := false
	for _, v := range j.good {
		if !v.Keep {
			continue
		}
		v.follow = v.follow && !reached
		reached = reached || v.Manifest.FinishedAt.Before(limit)
	}
}

// parents keeps what kept backups are built on.
func (j *judgement) parents() {
	for _, v := range j.all {
		if !v.Keep {
			continue
		}
		child := v
		for range len(j.all) {
			parent := j.builtOn(child)
			if parent == nil {
				break
			}
			if !parent.Keep {
				parent.Reasons = nil // why it would go
				parent.keep("backup " + v.Manifest.ID + " is built on it")
			}
			child = parent
		}
	}
}
