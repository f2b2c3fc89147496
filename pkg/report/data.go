package report

import (
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

// Data is what a page says.
type Data struct {
	Made       time.Time
	Repository string // URL, without secrets
	Cluster    repo.ClusterInfo
	Backups    []*repo.Manifest // oldest first; broken ones first of all
	// Relations changed in the newest incremental backups, the most changed one first.
	Relations []Relation
	// Looked is the number of incremental backups that Relations is about.
	Looked int
	// Windows are what can be restored, by timeline and position.
	Windows []restore.Window
	Gaps    []restore.Gap
	Drills  []*repo.Drill // newest first
}

// Relation is the main fork of a relation and where it changed.
type Relation struct {
	Locator pg.RelFileLocator
	Name    string // "" where nobody was asked or knows
	Blocks  uint64 // length in the newest backup that has it
	Changed uint64 // blocks stored, summed over the backups
	// Heat divides the relation into equal stretches of Stretch blocks and says for each how many
	// blocks of it were stored, summed over the backups.
	Heat    []uint64
	Stretch uint64
}
