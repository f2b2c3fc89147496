package history

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// play gives the text of a history in which every step is done, or each nth refused, and how often
// each operation occurred.
func play(t *testing.T, seed uint64, major, refuse int) (text []string, ops map[string]int) {
	t.Helper()
	g := New(seed, major)
	text = append(text, g.Cluster().String())
	ops = map[string]int{}
	var snapshots []*Snapshot
	for n := 0; ; n++ {
		if n > 1000 {
			t.Fatalf("seed %d: a history without an end", seed)
		}
		s := g.Next()
		text = append(text, s.String())
		if s.Kind == End {
			return text, ops
		}
		ops[s.Op]++
		switch s.Kind {
		case TakeBackup:
			for range s.Backup.Load {
				o := g.Operation(true)
				text = append(text, o.String())
				g.Done(o, true)
			}
			snapshots = append(snapshots, g.Snapshot())
		case Rewind:
			g.Restore(snapshots[s.Pick%len(snapshots)])
		default:
		}
		g.Done(s, refuse == 0 || n%refuse > 0 || s.Kind == TakeBackup)
	}
}

// A seed and a version are all that it takes to have the same history again.
func TestHistoriesRepeat(t *testing.T) {
	for seed := range uint64(50) {
		a, _ := play(t, seed, 17, 0)
		b, _ := play(t, seed, 17, 0)
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
	a, _ := play(t, 1, 17, 0)
	b, _ := play(t, 2, 17, 0)
	if cmp.Equal(a, b) {
		t.Error("two seeds, one history")
	}
}

// Every operation occurs, on every version, also where servers refuse some.
func TestEverythingOccurs(t *testing.T) {
	for major := 13; major <= 18; major++ {
		for _, refuse := range []int{0, 5} {
			seen := map[string]int{}
			for seed := range uint64(400) {
				_, ops := play(t, seed, major, refuse)
				for op, n := range ops {
					seen[op] += n
				}
			}
			for _, o := range operations() {
				if seen[o.name] == 0 {
					t.Errorf("version %d: no %s in 400 histories", major, o.name)
				}
			}
			if seen["backup"] < 400 {
				t.Errorf("version %d: %d backups in 400 histories", major, seen["backup"])
			}
		}
	}
}

// What the model says is there can be taken back to what it said before, and a snapshot does not
// change with what it was made of.
func TestSnapshotsAreCopies(t *testing.T) {
	g := New(3, 16)
	for range 60 {
		s := g.Operation(false)
		g.Done(s, true)
	}
	snapshot := g.Snapshot()
	before := describe(snapshot.state)
	for range 60 {
		s := g.Operation(false)
		g.Done(s, true)
	}
	if diff := cmp.Diff(before, describe(snapshot.state)); diff != "" {
		t.Errorf("the snapshot changed: %s", diff)
	}
	g.Restore(snapshot)
	if diff := cmp.Diff(before, describe(g.state)); diff != "" {
		t.Errorf("restored: %s", diff)
	}
}

// describe gives what a state is, as values.
func describe(s *state) map[string]any {
	var tables []table
	for _, t := range s.tables {
		c := *t
		c.indexes = nil
		tables = append(tables, c)
	}
	var names []string
	for _, d := range s.databases {
		names = append(names, d.name+" in "+d.space)
	}
	for _, sp := range s.tablespaces {
		names = append(names, sp.name)
	}
	for _, p := range s.prepared {
		names = append(names, p.name)
	}
	for _, o := range append(append([]*object{}, s.sequences...), s.large...) {
		names = append(names, o.db+"."+o.name)
	}
	rows := map[string]any{"names": names}
	for _, t := range tables {
		rows[t.db+"."+t.name] = []any{t.lo, t.hi, t.unlogged, t.busy}
	}
	return rows
}
