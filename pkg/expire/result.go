package expire

import "github.com/pgincr/pgincr/pkg/repo"

// What is done with a backup.
const (
	ActionKeep   = "keep"
	ActionRemove = "remove"
)

// Result is what a run did, or would do.
type Result struct {
	Cluster string         `json:"cluster"`
	DryRun  bool           `json:"dry_run"`
	Backups []BackupResult `json:"backups"` // in the order of Cluster.Backups
	// Unfinished are the ids under which only the rest of an interrupted backup lay, which is removed.
	Unfinished []string `json:"unfinished"`
	// Resumable are the ids of interrupted backups with which the next one of the type can go on, which stay.
	Resumable []string   `json:"resumable"`
	WAL       []WALRange `json:"wal"`
	// WALFiles, with parts of segments, and Maps count what is removed of the archive; StoredBytes are those of the
	// removed backups.
	WALFiles    int   `json:"wal_files_removed"`
	Maps        int   `json:"maps_removed"`
	StoredBytes int64 `json:"stored_bytes_removed"`
}

// BackupResult is what becomes of one backup and why.
type BackupResult struct {
	ID          string   `json:"id"`
	Type        string   `json:"type"`
	Parent      string   `json:"parent"`
	FinishedAt  string   `json:"finished_at"` // RFC 3339, UTC; "" when the manifest cannot be read
	StoredBytes int64    `json:"stored_bytes"`
	Action      string   `json:"action"` // ActionKeep, ActionRemove
	Reasons     []string `json:"reasons"`
	Damaged     bool     `json:"damaged,omitempty"` // it cannot be restored
}

// Damaged counts backups that cannot be restored and stay.
func (r *Result) Damaged() int {
	n := 0
	for _, b := range r.Backups {
		if b.Damaged && b.Action == ActionKeep {
			n++
		}
	}
	return n
}

// Removed counts the backups that go.
func (r *Result) Removed() int {
	n := 0
	for _, b := range r.Backups {
		if b.Action == ActionRemove {
			n++
		}
	}
	return n
}

func backupResult(v *Verdict) BackupResult {
	m := v.Manifest
	b := BackupResult{
		ID: m.ID, Type: m.Type, Parent: m.Parent, StoredBytes: m.StoredBytes,
		Action: ActionRemove, Reasons: v.Reasons, Damaged: v.Damage != "",
	}
	if v.Keep {
		b.Action = ActionKeep
	}
	if m.Status == repo.StatusOK {
		b.FinishedAt = m.FinishedAt.UTC().Format(timeLayout)
	}
	return b
}
