package report

import (
	"cmp"
	"maps"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// heatCells is the most stretches that a relation is divided into.
const heatCells = 128

// activity sums up where relations changed.
type activity struct {
	geometry  pg.Geometry
	relations map[pg.RelFileLocator]*Relation
}

func newActivity(g pg.Geometry) *activity {
	return &activity{geometry: g, relations: map[pg.RelFileLocator]*Relation{}}
}

// add takes a file of an incremental backup.
func (a *activity) add(f *repo.File) {
	seg, ok := pg.ParseRelPath(f.Path)
	if !ok || f.Kind != repo.KindRelation || seg.Fork != pg.MainFork {
		return
	}
	if len(f.Frames) == 0 && len(f.Zero) == 0 {
		return
	}
	r := a.relations[seg.RelFileLocator]
	if r == nil {
		r = &Relation{Locator: seg.RelFileLocator, Stretch: 1}
		a.relations[seg.RelFileLocator] = r
	}
	first := uint64(seg.FirstBlock(a.geometry))
	r.Blocks = max(r.Blocks, first+uint64(f.Blocks(a.geometry)))
	for i := range f.Frames {
		for _, run := range f.Frames[i].Runs {
			r.heat(first+uint64(run.First), uint64(run.Count))
		}
	}
	for _, run := range f.Zero {
		r.heat(first+uint64(run.First), uint64(run.Count))
	}
}

// heat counts blocks. Stretches double until the relation fits.
func (r *Relation) heat(first, count uint64) {
	r.Changed += count
	for end := first + count; (end+r.Stretch-1)/r.Stretch > heatCells; {
		for i := range (len(r.Heat) + 1) / 2 {
			sum := r.Heat[2*i]
			if 2*i+1 < len(r.Heat) {
				sum += r.Heat[2*i+1]
			}
			r.Heat[i] = sum
		}
		r.Heat = r.Heat[:(len(r.Heat)+1)/2]
		r.Stretch *= 2
	}
	for count > 0 {
		cell := first / r.Stretch
		for uint64(len(r.Heat)) <= cell {
			r.Heat = append(r.Heat, 0)
		}
		n := min(count, (cell+1)*r.Stretch-first)
		r.Heat[cell] += n
		first, count = first+n, count-n
	}
}

// most gives the n relations that changed most.
func (a *activity) most(n int) []Relation {
	all := slices.SortedFunc(maps.Values(a.relations), func(x, y *Relation) int {
		return cmp.Or(cmp.Compare(y.Changed, x.Changed), x.fork().Compare(y.fork()))
	})
	out := make([]Relation, 0, min(n, len(all)))
	for _, r := range all[:min(n, len(all))] {
		out = append(out, *r)
	}
	return out
}

func (r *Relation) fork() pg.RelFork {
	return pg.RelFork{RelFileLocator: r.Locator, Fork: pg.MainFork}
}
