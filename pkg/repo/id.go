package repo

import (
	"fmt"
	"time"
)

// idTime is the layout of the first part of a backup id.
const idTime = "20060102T150405Z"

// NewID gives the id of a backup that begins now: its time in UTC to the second and F for a full
// one, I for an incremental one. While taken says that an id of that second
// exists, of either kind, it tries the next second: ids never collide.
func NewID(now time.Time, backupType string, taken func(id string) bool) string {
	suffix := idSuffix(backupType)
	for t := now.UTC(); ; t = t.Add(time.Second) {
		stem := t.Format(idTime)
		if !taken(stem+idSuffix(TypeFull)) && !taken(stem+idSuffix(TypeIncremental)) {
			return stem + suffix
		}
	}
}

func idSuffix(backupType string) string {
	if backupType == TypeFull {
		return "-F"
	}
	return "-I"
}

// ParseID takes a backup id apart.
func ParseID(id string) (begun time.Time, backupType string, err error) {
	switch {
	case len(id) != len(idTime)+2:
	case id[len(idTime):] == "-F":
		backupType = TypeFull
	case id[len(idTime):] == "-I":
		backupType = TypeIncremental
	}
	if backupType == "" {
		return time.Time{}, "", fmt.Errorf("%q is not a backup id", id)
	}
	begun, err = time.Parse(idTime, id[:len(idTime)])
	if err != nil || begun.Format(idTime) != id[:len(idTime)] {
		return time.Time{}, "", fmt.Errorf("%q is not a backup id", id)
	}
	return begun, backupType, nil
}
