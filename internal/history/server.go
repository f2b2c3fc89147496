package history

import (
	"fmt"
)

func (g *Generator) checkpoint() Step { return sql("postgres", "CHECKPOINT") }

func (g *Generator) switchWAL() Step {
	return sql("postgres", "SELECT pg_create_restore_point('switch')", "SELECT pg_switch_wal()")
}

// largeRecord writes a record that spans WAL segments, where these are small.
func (g *Generator) largeRecord() Step {
	size := pick(g.rng, 100_000, 1_500_000, 3_500_000)
	s := sql("postgres", fmt.Sprintf("SELECT pg_logical_emit_message(%s, 'x', repeat('y', %d))",
		pick(g.rng, "true", "false"), size))
	if g.chance(2) {
		s.SQL = append(s.SQL, "SELECT pg_switch_wal()")
	}
	return s
}

// writeFile writes a file that is no relation, often the same one with the same size.
func (g *Generator) writeFile() Step {
	return Step{
		Kind: File, Name: pick(g.rng, "notes", "notes", "pg_logical/notes", "empty"),
		Size: pick(g.rng, 0, 100, 100, 8192, 40000),
	}
}

func (g *Generator) crash() Step {
	return Step{Kind: Crash, Kill: g.chance(2)}.then(g.state.endSessions)
}

func (g *Generator) restart() Step {
	s := Step{Kind: Restart, Settings: restartSettings(g.rng, g.major)}
	return s.then(g.state.endSessions)
}

// limited says whether the server may become another one once more.
func (g *Generator) limited() bool {
	if g.failures >= 2 {
		return false
	}
	g.failures++
	return true
}

func (g *Generator) switchChecksums() (Step, bool) {
	if !g.limited() {
		return Step{}, false
	}
	return Step{Kind: Checksums}.then(g.state.endSessions).refusable(), true
}

func (g *Generator) failOver() (Step, bool) {
	if !g.limited() {
		return Step{}, false
	}
	return Step{Kind: Failover}.then(g.state.endSessions), true
}

func (g *Generator) recover() (Step, bool) {
	if !g.limited() {
		return Step{}, false
	}
	return Step{Kind: Recover}.then(g.state.endSessions), true
}

// rewind is followed by Restore, not by a change of the model.
func (g *Generator) rewind() (Step, bool) {
	if !g.limited() {
		return Step{}, false
	}
	return Step{Kind: Rewind, Pick: g.rng.IntN(1000)}, true
}

func (g *Generator) interrupt() (Step, bool) {
	return Step{
		Kind: Interrupt, Kill: g.chance(2),
		Backup: Backup{Full: g.chance(2), Sources: []string{"auto"}, Load: g.rng.IntN(4)},
	}.then(g.state.endSessions), true
}
