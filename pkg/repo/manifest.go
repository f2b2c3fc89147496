package repo

import (
	"fmt"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Backup types, statuses and WAL modes as they stand in manifests.
const (
	TypeFull        = "full"
	TypeIncremental = "incremental"
	StatusOK        = "ok"
	StatusBroken    = "broken" // never stored: the manifest cannot be read
	WALArchived     = "archive"
	WALCarried      = "stream"
)

// Manifest is one backup: its appearance in the repository is the commit. Its
// JSON is also what `backup --json` and `show --json` print.
type Manifest struct {
	Format           int               `json:"format"`
	ID               string            `json:"id"`
	Cluster          string            `json:"cluster"`
	Type             string            `json:"type"`
	Parent           string            `json:"parent"` // "" for a full one
	Status           string            `json:"status"`
	Timeline         pg.TimelineID     `json:"timeline"`
	StartLSN         pg.LSN            `json:"start_lsn"`
	StopLSN          pg.LSN            `json:"stop_lsn"`
	StartedAt        time.Time         `json:"started_at"`
	FinishedAt       time.Time         `json:"finished_at"`
	SystemIdentifier uint64            `json:"system_identifier,string"`
	PGVersion        int               `json:"pg_version"`
	PageMap          PageMapResult     `json:"page_map"`
	FullReason       string            `json:"full_reason,omitempty"`    // why an incremental became full
	CompactedFrom    string            `json:"compacted_from,omitempty"` // the incremental whose state it holds
	CompactedAt      time.Time         `json:"compacted_at,omitzero"`
	SizeBytes        int64             `json:"size_bytes"`   // of the restored data directory, without WAL
	StoredBytes      int64             `json:"stored_bytes"` // of all objects of this backup
	BlocksTotal      int64             `json:"blocks_total"`
	BlocksStored     int64             `json:"blocks_stored"`
	FilesTotal       int64             `json:"files_total"`
	BytesRead        int64             `json:"bytes_read"` // from the data directory
	CorruptPages     []CorruptPage     `json:"corrupt_pages"`
	CrossFindings    []CrossFinding    `json:"cross_findings,omitempty"` // of page map source cross
	Annotations      map[string]string `json:"annotations"`
	Warnings         []string          `json:"warnings"`

	CatalogVersion  uint32      `json:"catalog_version"`
	ControlVersion  uint32      `json:"control_version"`
	Geometry        pg.Geometry `json:"geometry"`
	ChecksumVersion uint32      `json:"checksum_version"`
	WALLogHints     bool        `json:"wal_log_hints"`
	PostmasterStart time.Time   `json:"postmaster_start"`
	FromStandby     bool        `json:"from_standby"`
	// ClockStepped: the host's clock was set while the backup ran, so that the times in
	// the index do not tell what was written since.
	ClockStepped bool `json:"clock_stepped,omitempty"`

	History       string              `json:"history"` // content of the timeline's .history file, "" on timeline 1
	BackupLabel   string              `json:"backup_label"`
	TablespaceMap string              `json:"tablespace_map"`
	Tablespaces   []pg.TablespaceLink `json:"tablespaces"`
	DataDirectory string              `json:"data_directory"` // where the server had it
	// Databases are those that there were right before the end, by OID; none in backups that do not tell.
	Databases []Database `json:"databases,omitempty"`
	// Configuration is what the server reads from outside the data directory.
	Configuration []ConfigFile `json:"configuration,omitempty"`
	Compression   string       `json:"compression"`
	WAL           WALNeed      `json:"wal"`
	WALMark       *WALMark     `json:"wal_mark,omitempty"`   // nil: it could not be made
	TakenOver     *TakenOver   `json:"taken_over,omitempty"` // nil: no interrupted attempt was taken up
	Objects       []Object     `json:"objects"`
	Version       string       `json:"pgincr_version"`
}

// PageMapResult says where the changed blocks came from.
type PageMapResult struct {
	Source         string `json:"source"` // wal, summaries, lsn, hash, cross; "" in a full backup
	FallbackReason string `json:"fallback_reason"`
}

// CorruptPage is a page whose checksum does not match, stored as it was read.
type CorruptPage struct {
	Path  string         `json:"path"`
	Block pg.BlockNumber `json:"block"` // within the fork
	Cause string         `json:"cause"`
}

// CrossFinding is a page that the page scan found changed and the page map does not have,
// although it should. The backup holds it nevertheless.
type CrossFinding struct {
	Path  string         `json:"path"`
	Block pg.BlockNumber `json:"block"` // within the fork
	Cause string         `json:"cause"`
}

// WALNeed is the WAL without which the backup cannot be restored.
type WALNeed struct {
	Mode     string   `json:"mode"`     // WALArchived or WALCarried
	Segments []string `json:"segments"` // names, oldest first; carried ones lie in the backup's wal/
}

// WALMark tells the WAL of the backup's server from that of another on the same timeline.
type WALMark struct {
	From pg.LSN `json:"from"`  // begin of a segment
	Sum  string `json:"xxh64"` // of the WAL [From, StopLSN), page headers included, 16 hexadecimal digits
}

// TakenOver counts what of a backup interrupted attempts at it had stored.
type TakenOver struct {
	BegunAt time.Time `json:"begun_at"` // the first of them, to the second, as in the backup's id
	Frames  int64     `json:"frames"`
	Bytes   int64     `json:"bytes"` // of these frames, as they are stored
}

// FormatSum writes a checksum as it stands in a manifest.
func FormatSum(sum uint64) string { return fmt.Sprintf("%0*x", sumDigits, sum) }

// Database is a database of the cluster.
type Database struct {
	OID      pg.OID `json:"oid"`
	Name     string `json:"name"`
	Template bool   `json:"template"`
}

// Object is one stored object of the backup except the manifest.
type Object struct {
	Name string `json:"name"` // relative to the backup
	Size int64  `json:"size"`
	Sum  string `json:"xxh64"` // of all its bytes, 16 hexadecimal digits
}
