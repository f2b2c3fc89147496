package history

import (
	"math/rand/v2"
)

// Generator invents one history. It is not safe for concurrent use.
type Generator struct {
	rng     *rand.Rand
	major   int
	cluster Cluster
	state   *state

	planned  []Step // what was decided already
	rounds   int    // stretches of operations, each with a backup at its end, that are left
	left     int    // operations until the next backup
	begun    bool   // there is a backup
	spaces   int    // tablespaces outside the data directory that are still to be made
	failures int    // events after which the server was another one, of which few are enough
}

// New gives the history of a seed on a major version.
func New(seed uint64, major int) *Generator {
	//nolint:gosec // to be repeated, not to be unpredictable
	rng := rand.New(rand.NewPCG(seed, uint64(major)))
	g := &Generator{rng: rng, major: major, state: &state{}}
	g.cluster = newCluster(rng, major)
	g.state.databases = []*database{{name: "postgres"}}
	g.rounds = 3 + rng.IntN(4)
	g.left = 6 + rng.IntN(8)
	g.spaces = rng.IntN(3)
	return g
}

// Cluster is the kind of cluster that the history is of.
func (g *Generator) Cluster() Cluster { return g.cluster }

// Next gives the next step. It has to be told by Done before the next call.
func (g *Generator) Next() Step {
	if len(g.planned) > 0 {
		s := g.planned[0]
		g.planned = g.planned[1:]
		return s
	}
	if g.left > 0 {
		g.left--
		return g.beginning()
	}
	if g.rounds == 0 {
		return Step{Kind: End, Op: "end"}
	}
	g.rounds--
	g.left = 3 + g.rng.IntN(12)
	if g.rounds == 0 {
		g.left = 0
	}
	return g.backup()
}

// beginning gives an operation, and in the beginning those without which there would be little
// for the others to do.
func (g *Generator) beginning() Step {
	if !g.begun {
		switch {
		case g.spaces > 0:
			g.spaces--
			return g.newTablespace()
		case len(g.state.tables) < 3:
			return g.createTable()
		}
	}
	return g.Operation(false)
}

// Done tells that a step was carried out, or was refused by the server.
func (g *Generator) Done(s Step, ok bool) {
	if ok && s.apply != nil {
		s.apply()
	}
}

// Snapshot remembers what exists, for a Step of kind Rewind.
func (g *Generator) Snapshot() *Snapshot { return &Snapshot{g.state.clone()} }

// Restore tells that what exists is what existed when the snapshot was made.
func (g *Generator) Restore(s *Snapshot) {
	next := g.state.next
	g.state = s.state.clone()
	g.state.next = next // names are not used twice
}

// Snapshot is what existed at a time.
type Snapshot struct{ state *state }

// Tables gives the tables of a database that hold data and are not in the middle of a transaction.
func (g *Generator) Tables() (names []string) {
	for _, t := range g.state.tables {
		names = append(names, t.db+"."+t.name)
	}
	return names
}

// backup decides on the next backup.
func (g *Generator) backup() Step {
	s := Step{Kind: TakeBackup, Op: "backup"}
	first := !g.begun
	g.begun = true
	last := g.rounds == 0
	b := &s.Backup
	b.Reference = last || g.chance(5)
	b.Pick = g.rng.IntN(1000)
	if first || g.chance(7) {
		b.Full = true
		return s
	}
	sources := []string{"wal", "lsn", "hash", "auto", "cross"}
	if g.cluster.Settings["summarize_wal"] == "on" {
		sources = append(sources, "summaries")
	}
	switch {
	case g.chance(4):
		b.Sources = sources // all on the same parent
	case g.chance(3):
		b.Sources = []string{"hash", "lsn"}
	default:
		b.Sources = []string{pick(g.rng, "wal", "wal", "lsn", "lsn", sources[g.rng.IntN(len(sources))])}
	}
	b.Parent = pick(g.rng, LatestParent, LatestParent, EarlierParent, EarlierParent, LatestFullParent)
	if !last && !b.Reference && g.chance(3) {
		b.Sources = b.Sources[:1]
		b.Load = 2 + g.rng.IntN(8)
	}
	return s
}

// chance is true once in n times.
func (g *Generator) chance(n int) bool { return g.rng.IntN(n) == 0 }
