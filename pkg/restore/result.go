package restore

import "github.com/pgincr/pgincr/pkg/repo"

// Result is what restore --json prints.
type Result struct {
	Backup       string   `json:"backup"`
	Chain        []string `json:"chain"` // full first
	Target       string   `json:"target"`
	FilesWritten int64    `json:"files_written"`
	FilesRemoved int64    `json:"files_removed"` // in place only
	BytesRead    int64    `json:"bytes_read"`    // stored bytes of frames
	BytesWritten int64    `json:"bytes_written"`
	BytesSkipped int64    `json:"bytes_skipped"` // zero pages left as holes, pages that were right already
	Recovery     Recovery `json:"recovery"`
	Phases       []Phase  `json:"phases"`
	Plan         *Plan    `json:"plan,omitempty"` // of a dry run
	Warnings     []string `json:"warnings"`
	// Configuration is nil where all of it lies in the data directory, or the backup does not tell.
	Configuration *Configuration `json:"configuration,omitempty"`
	// StandIns are the databases of which there is nothing but holes. DropSQL drops them, in psql after recovery.
	StandIns []repo.Database `json:"stand_ins,omitempty"`
	DropSQL  string          `json:"drop_sql,omitempty"`
}

// Phase is one step with its duration.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}
