package matrix

import "slices"

// Sources are the page map sources, in the order of the table.
func Sources() []string { return []string{"wal", "lsn", "hash", "summaries", "auto"} }

// None is the source of a scenario that has to do with no page map.
const None = "none"

// Scenario is a row of the table.
type Scenario struct {
	ID    string // of the list of scenarios, or T… after a test of PostgreSQL's own
	Title string
	Since int // first major that can do it; 0: all
	Until int // last major that it is of interest on; 0: all
	// Tool names a program of the server's own version that it needs; majors without it are left out.
	Tool string
	// Only are the sources it is played by; nil: all.
	Only []string
	// Standby says that it is also played with the backups taken from a standby.
	Standby bool
}

// toolless are the majors of which the tests have no pg_resetwal and no pg_rewind (docs/testing.md).
func toolless() []int { return []int{14, 16} }

// expects gives the sources that a scenario has to be played by on a major; none where it cannot be played.
func (s Scenario) expects(major int) (sources []string) {
	if major < s.Since || s.Until > 0 && major > s.Until || s.Tool != "" && slices.Contains(toolless(), major) {
		return nil
	}
	only := s.Only
	if only == nil {
		only = Sources()
	}
	for _, source := range only {
		if source != "summaries" || major >= 17 {
			sources = append(sources, source)
		}
	}
	return sources
}

// Scenarios gives all rows.
func Scenarios() []Scenario {
	return []Scenario{
		{ID: "1", Title: "truncated, then written again over two checkpoints", Standby: true},
		{ID: "2", Title: "the same with a promotion between"},
		{ID: "3", Title: "truncated, then extended in bulk: zero pages", Standby: true},
		{ID: "4", Title: "truncated, then a crash leaves zero pages"},
		{ID: "5", Title: "bits cleared in the visibility map", Standby: true},
		{ID: "6", Title: "all-visible set without an LSN", Standby: true},
		{ID: "7", Title: "database made again at its number by file copy", Since: 15, Standby: true},
		{
			ID: "7b", Title: "the same where numbers cannot be asked for", Until: 14, Tool: "pg_resetwal",
			Only: []string{"lsn", "hash", "auto"},
		},
		{ID: "8", Title: "database moved to another tablespace and back", Standby: true},
		{
			ID: "9", Title: "a relation's number given out again", Tool: "pg_resetwal",
			Only: []string{"wal", "lsn", "hash", "auto"},
		},
		{ID: "10", Title: "dropped, truncated, rewritten, clustered, reindexed", Standby: true},
		{ID: "11", Title: "2.5 segments shrink while they are copied"},
		{ID: "12", Title: "ends at segments and chunks, grown and shrunk by one"},
		{ID: "13", Title: "a chain over two failovers"},
		{ID: "14", Title: "a diverged line is not built on", Only: []string{"wal", "lsn", "auto"}},
		{ID: "15", Title: "two timelines of one number", Only: []string{"wal", "lsn", "auto"}},
		{ID: "16", Title: "pg_rewind", Tool: "pg_rewind", Only: []string{"lsn", "hash", "auto"}},
		{ID: "17", Title: "pg_resetwal, other segment size", Tool: "pg_resetwal", Only: []string{"wal", "auto"}},
		{ID: "18", Title: "wal_level=minimal and back"},
		{ID: "19", Title: "a gap in the archive", Only: []string{"wal", "auto"}},
		{ID: "20", Title: "records over several segments"},
		{ID: "21", Title: "an overwritten record"},
		{ID: "22", Title: "last segment of a timeline archived by its successor only"},
		{ID: "23", Title: "page images in every form", Only: []string{"wal", "summaries", "auto"}},
		{ID: "24", Title: "generic WAL: bloom; a custom resource manager", Standby: true},
		{ID: "25", Title: "prepared transactions", Standby: true},
		{ID: "26", Title: "aborted, unlogged, temporary", Standby: true},
		{ID: "27", Title: "sequences", Standby: true},
		{ID: "28", Title: "many transactions and multixacts", Standby: true},
		{ID: "29", Title: "mapped catalogs move", Standby: true},
		{ID: "30", Title: "other files change within size and time"},
		{ID: "31", Title: "tablespaces come, go and come back"},
		{ID: "32", Title: "a chain under load"},
		{ID: "33", Title: "standbys: one restartpoint twice, promotion"},
		{ID: "34", Title: "checksums switched", Tool: "pg_checksums", Only: []string{"wal", "lsn", "hash", "auto"}},
		{ID: "35", Title: "garbage and flipped bits", Only: []string{"wal", "lsn", "hash"}},
		{ID: "36", Title: "empty and missing forks and segments", Standby: true},
		{ID: "37", Title: "interrupted: signals, crash, restart, lost connection"},
		{ID: "38", Title: "backups within one second"},
		{ID: "39", Title: "WAL segments of 1 MB"},
		{ID: "40", Title: "chain hygiene"},
		{ID: "41", Title: "backup_label, and a newer timeline in the archive"},
		{ID: "42", Title: "hash, GiST, GIN, BRIN, SP-GiST", Standby: true},
		{ID: "T1", Title: "combinebackup 002: recovery of the full backup gives the same", Standby: true},
		{ID: "T2", Title: "combinebackup 003: a restored backup goes on"},
		{ID: "T3", Title: "combinebackup 008: paused at an LSN, promoted"},
		{ID: "T4", Title: "basebackup 010: what is left out, links, modes"},
		{ID: "T5", Title: "recovery 008: free space maps", Standby: true},
	}
}
