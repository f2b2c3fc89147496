package history

import (
	"maps"
	"slices"
)

// model is what exists in the cluster, as far as it can be known without asking.
type model struct {
	databases   []*database
	tablespaces []*tablespace
	prepared    []*prepared
	sequences   []*object
	large       []*object // large objects, by number
	open        []*session
	next        int // number of the next thing to be named
}

type database struct {
	name  string
	oid   int    // 0: any
	space string // tablespace
	users int    // sessions and prepared transactions in it
}

type tablespace struct {
	name    string
	inPlace bool
}

type table struct {
	db, name string
	shape    shape
	lo, hi   int // ids are in [lo, hi)
	indexes  []*index
	unlogged bool
	busy     bool // an open or prepared transaction has it
}

type index struct {
	name, method string
}

type object struct{ db, name string }

// prepared is a transaction that waits for its second phase.
type prepared struct {
	name, db string
	tables   []*table
	created  *table // by the transaction
	dropped  *table
}

// session is one that stays open, with a transaction or with temporary tables.
type session struct {
	name, db string
	tables   []*table
	temp     bool
}

// state is a model with its tables, which it is simpler to keep in one list.
type state struct {
	model
	tables []*table
}

// clone copies the state deeply. Sessions are not copied: they do not outlive the server that
// the copy may be used for.
func (s *state) clone() *state {
	same := map[*table]*table{}
	out := &state{}
	out.next = s.next
	for _, t := range s.tables {
		c := *t
		c.indexes = slices.Clone(t.indexes)
		c.busy = false
		same[t] = &c
		out.tables = append(out.tables, &c)
	}
	for _, d := range s.databases {
		c := *d
		c.users = 0
		out.databases = append(out.databases, &c)
	}
	for _, sp := range s.tablespaces {
		c := *sp
		out.tablespaces = append(out.tablespaces, &c)
	}
	for _, p := range s.prepared {
		c := *p
		c.tables = nil
		for _, t := range p.tables {
			if n := same[t]; n != nil {
				n.busy = true
				c.tables = append(c.tables, n)
			}
		}
		if p.dropped != nil {
			c.dropped = same[p.dropped]
		}
		if p.created != nil {
			t := *p.created
			c.created = &t
		}
		out.prepared = append(out.prepared, &c)
		out.database(p.db).users++
	}
	out.sequences = slices.Clone(s.sequences)
	out.large = slices.Clone(s.large)
	return out
}

func (s *state) database(name string) *database {
	for _, d := range s.databases {
		if d.name == name {
			return d
		}
	}
	return &database{name: name}
}

// endSessions forgets the sessions that end with the server.
func (s *state) endSessions() {
	for _, o := range s.open {
		for _, t := range o.tables {
			t.busy = false
		}
		s.database(o.db).users--
	}
	s.open = nil
}

// dropDatabase forgets what was in a database.
func (s *state) dropDatabase(name string) {
	s.tables = slices.DeleteFunc(s.tables, func(t *table) bool { return t.db == name })
	in := func(o *object) bool { return o.db == name }
	s.sequences = slices.DeleteFunc(s.sequences, in)
	s.large = slices.DeleteFunc(s.large, in)
	s.databases = slices.DeleteFunc(s.databases, func(d *database) bool { return d.name == name })
}

// copyDatabase makes a database with what another one has.
func (s *state) copyDatabase(from, to string) {
	for _, t := range s.tables {
		if t.db == from {
			c := *t
			c.db, c.indexes = to, slices.Clone(t.indexes)
			s.tables = append(s.tables, &c)
		}
	}
	for _, list := range []*[]*object{&s.sequences, &s.large} {
		for _, o := range slices.Clone(*list) {
			if o.db == from {
				*list = append(*list, &object{db: to, name: o.name})
			}
		}
	}
}

// keysOf gives a map's keys in order.
func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
