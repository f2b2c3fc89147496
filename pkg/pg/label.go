package pg

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// BackupLabel is the content of a backup_label file (access/xlogbackup.c).
type BackupLabel struct {
	Start        LSN // START WAL LOCATION
	StartSegment string
	Checkpoint   LSN
	Method       string // "streamed"
	From         string // "primary" or "standby" ("master" on 13 reads as "primary")
	// StartTime is in log_timezone, of which the file has only the
	// abbreviation: exact where that is UTC, GMT or a number, else taken as UTC.
	StartTime time.Time
	Label     string
	Timeline  TimelineID
}

// ParseBackupLabel reads a backup_label as servers 13 to 18 write it. That of
// an incremental backup by pg_basebackup is an error: it belongs to no data directory.
func ParseBackupLabel(b []byte) (BackupLabel, error) {
	l, err := parseBackupLabel(string(b))
	if err != nil {
		return BackupLabel{}, fmt.Errorf("backup_label: %w", err)
	}
	return l, nil
}

func parseBackupLabel(s string) (l BackupLabel, err error) {
	// The server reads the lines in this order and no other (read_backup_label).
	var values [5]string
	for i, key := range []string{
		"START WAL LOCATION", "CHECKPOINT LOCATION", "BACKUP METHOD", "BACKUP FROM", "START TIME",
	} {
		if values[i], s, err = cutLabelLine(s, key); err != nil {
			return l, err
		}
	}
	// The label itself may hold line breaks, so what follows it is looked for from the end.
	const labelKey, timelineKey = "LABEL: ", "\nSTART TIMELINE: "
	label, ok := strings.CutPrefix(s, labelKey)
	i := strings.LastIndex(label, timelineKey)
	if !ok || i < 0 {
		return l, fmt.Errorf("no LABEL and START TIMELINE at %q", firstLine(s))
	}
	timeline, rest, _ := strings.Cut(label[i+len(timelineKey):], "\n")
	if rest != "" {
		return l, fmt.Errorf("unexpected line %q", firstLine(rest))
	}
	tli, err := strconv.ParseUint(timeline, 10, 32)
	if err != nil || tli == 0 {
		return l, fmt.Errorf("invalid START TIMELINE %q", timeline)
	}
	l.Label, l.Timeline = label[:i], TimelineID(tli)
	if l.Start, l.StartSegment, err = parseLabelStart(values[0], l.Timeline); err != nil {
		return l, err
	}
	if l.Checkpoint, err = ParseLSN(values[1]); err != nil {
		return l, err
	}
	l.Method = values[2]
	if l.From, err = parseLabelFrom(values[3]); err != nil {
		return l, err
	}
	l.StartTime, err = parseLabelTime(values[4])
	return l, err
}

// cutLabelLine takes the line "key: value" off s.
func cutLabelLine(s, key string) (value, rest string, err error) {
	line, rest, found := strings.Cut(s, "\n")
	value, ok := strings.CutPrefix(line, key+": ")
	if !ok || !found {
		return "", "", fmt.Errorf("no %s at %q", key, firstLine(s))
	}
	return value, rest, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line[:min(len(line), 100)]
}

// parseLabelStart reads "0/2000028 (file 000000010000000000000002)".
func parseLabelStart(s string, tli TimelineID) (LSN, string, error) {
	position, file, ok := strings.Cut(s, " (file ")
	file, closed := strings.CutSuffix(file, ")")
	lsn, err := ParseLSN(position)
	if !ok || !closed || err != nil || !IsWALFileName(file) {
		return 0, "", fmt.Errorf("invalid START WAL LOCATION %q", s)
	}
	if file[:8] != fmt.Sprintf("%08X", uint32(tli)) {
		return 0, "", fmt.Errorf("segment %s is not on timeline %d", file, tli)
	}
	return lsn, file, nil
}

func parseLabelFrom(s string) (string, error) {
	switch s {
	case "primary", "master":
		return "primary", nil
	case "standby":
		return "standby", nil
	}
	return "", fmt.Errorf("invalid BACKUP FROM %q", s)
}

// parseLabelTime reads "2026-11-23 21:09:00 UTC".
func parseLabelTime(s string) (time.Time, error) {
	if len(s) < len(time.DateTime) {
		return time.Time{}, fmt.Errorf("invalid START TIME %q", s)
	}
	for _, layout := range []string{" -07", " -0700", " -07:00"} {
		if t, err := time.Parse(time.DateTime+layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	t, err := time.Parse(time.DateTime, s[:len(time.DateTime)])
	if err != nil {
		return time.Time{}, fmt.Errorf("invalid START TIME %q", s)
	}
	return t, nil
}
