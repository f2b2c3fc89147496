package pg

import "time"

// BackupLabel is the content of a backup_label file (access/xlogbackup.c).
type BackupLabel struct {
	Start        LSN // START WAL LOCATION
	StartSegment string
	Checkpoint   LSN
	Method       string // "streamed"
	From         string // "primary" or "standby" ("master" on 13 reads as "primary")
	StartTime    time.Time
	Label        string
	Timeline     TimelineID
}

// ParseBackupLabel reads a backup_label as servers 13 to 18 write it.
func ParseBackupLabel(b []byte) (BackupLabel, error) { panic("stub") }

// TablespaceLink is one line of a tablespace_map file.
type TablespaceLink struct {
	OID  OID    `json:"oid"`
	Path string `json:"path"` // target of pg_tblspc/<OID>
}

// ParseTablespaceMap reads a tablespace_map, undoing its escapes.
func ParseTablespaceMap(b []byte) ([]TablespaceLink, error) { panic("stub") }

// FormatTablespaceMap is the inverse of ParseTablespaceMap.
func FormatTablespaceMap(links []TablespaceLink) []byte { panic("stub") }
