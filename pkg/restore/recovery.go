package restore

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Recovery is what the restored server is told about recovery.
type Recovery struct {
	// Signal is recovery.signal, standby.signal or, where the WAL in pg_wal is all there is, "".
	Signal   string    `json:"signal"`
	Settings []Setting `json:"settings"` // in postgresql.auto.conf
	// CopyWAL says that the WAL that the backup needs is put into pg_wal.
	CopyWAL bool `json:"copy_wal"`
}

// Setting is one line of postgresql.auto.conf.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Quoted gives the value as it stands in a configuration file.
func (s Setting) Quoted() string { return quote(s.Value) }

// newRecovery decides how the restored server recovers. l is how the archive stands to a backup
// that carries its own WAL.
func newRecovery(m *repo.Manifest, o *Options, l archiveLine) (Recovery, error) {
	var r Recovery
	carried := m.WAL.Mode == repo.WALCarried
	targeted := o.TargetOptions != TargetOptions{}
	r.CopyWAL = carried || o.RestoreCommand == ""
	switch {
	case o.Standby:
		r.Signal = standbySignal
	case targeted || !carried || l.continues:
		r.Signal = recoverySignal
	}
	if r.Signal == recoverySignal && o.RestoreCommand == "" {
		if targeted {
			return r, &OptionError{"restore command", "a recovery target needs one"}
		}
		r.Signal = "" // recovery ends with the WAL in pg_wal
	}
	if r.Signal != "" {
		settings := *o
		if l.foreign != "" { // PostgreSQL wants a command; this one has nothing, and pg_wal is looked into
			settings.RestoreCommand, settings.Timeline = "false", "current"
		}
		r.Settings = recoverySettings(&settings)
	}
	if !o.PreserveArchiveMode && !sameDir(o.Target, m.DataDirectory) {
		// Two servers that archive under the same names would spoil the archive.
		r.Settings = append(r.Settings, Setting{"archive_mode", "off"})
	}
	return r, nil
}

// recoverySettings gives every setting that decides about recovery, so that what
// an earlier restore has left in the configuration decides nothing. Targets that are not
// meant come first: the server objects when it meets one while another is set
// (error_multiple_recovery_targets, access/xlogrecovery.c).
func recoverySettings(o *Options) []Setting {
	targets := []Setting{
		{"recovery_target", ""},
		{"recovery_target_name", o.Name},
		{"recovery_target_time", o.Time},
		{"recovery_target_xid", o.XID},
		{"recovery_target_lsn", o.LSN},
	}
	if o.Immediate {
		targets[0].Value = "immediate"
	}
	s := []Setting{{"restore_command", o.RestoreCommand}}
	var wanted []Setting
	for _, t := range targets {
		if t.Value == "" {
			s = append(s, t)
		} else {
			wanted = append(wanted, t)
		}
	}
	s = append(s, wanted...)
	inclusive, timeline, action := "on", o.Timeline, o.Action
	if o.Exclusive {
		inclusive = "off"
	}
	if timeline == "" {
		timeline = "latest"
	}
	if action == "" {
		action = "pause"
	}
	s = append(s, Setting{"recovery_target_inclusive", inclusive},
		Setting{"recovery_target_timeline", timeline}, Setting{"recovery_target_action", action})
	if o.Standby && o.PrimaryConninfo != "" {
		s = append(s, Setting{"primary_conninfo", o.PrimaryConninfo})
	}
	return s
}

// sameDir says whether the restored cluster takes the place of the original one.
func sameDir(target, original string) bool {
	abs, err := filepath.Abs(target)
	return err == nil && original != "" && abs == filepath.Clean(original)
}

// appendSettings gives postgresql.auto.conf with the settings added. The last
// line for a name is the one that counts, so those before it may stay.
func appendSettings(conf []byte, settings []Setting, backup string) []byte {
	if len(settings) == 0 {
		return conf
	}
	if len(conf) > 0 && conf[len(conf)-1] != '\n' {
		conf = append(conf, '\n')
	}
	conf = fmt.Appendf(conf, "# pgincr restore of backup %s\n", backup)
	for _, s := range settings {
		conf = fmt.Appendf(conf, "%s = %s\n", s.Name, s.Quoted())
	}
	return conf
}

// quote writes a value as guc-file.l reads it (GUC_scanstr).
func quote(v string) string {
	return "'" + strings.NewReplacer("'", "''", `\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(v) + "'"
}

// maxTargetName is MAXFNAMELEN - 1, the longest name of a restore point.
const maxTargetName = 63

// verify refuses targets that the server would refuse or misunderstand, and
// those before the backup is consistent. It brings the time into a form that means the same everywhere.
func (t *TargetOptions) verify(m *repo.Manifest) error {
	if err := t.verifyForm(); err != nil {
		return err
	}
	if t.LSN != "" {
		lsn, err := pg.ParseLSN(t.LSN)
		if err != nil {
			return &OptionError{"target LSN", err.Error()}
		}
		if lsn < m.StopLSN {
			return &ReachError{
				Target: t.LSN, Backup: m.ID, From: m.StopLSN,
				Reason: fmt.Sprintf("the backup is consistent from %s on", m.StopLSN),
			}
		}
	}
	if t.Time != "" {
		at, err := ParseTargetTime(t.Time)
		if err != nil {
			return &OptionError{"target time", err.Error()}
		}
		if at.Before(m.FinishedAt) {
			return &ReachError{
				Target: t.Time, Backup: m.ID,
				Reason: fmt.Sprintf("it ended at %s", m.FinishedAt.UTC().Format(time.RFC3339)),
			}
		}
		t.Time = at.Format("2006-01-02 15:04:05.999999-07:00")
	}
	return nil
}

// verifyForm refuses what is malformed or contradicts itself, whatever the backup.
func (t *TargetOptions) verifyForm() error {
	set := 0
	for _, given := range []bool{t.Time != "", t.LSN != "", t.XID != "", t.Name != "", t.Immediate} {
		if given {
			set++
		}
	}
	switch {
	case set > 1:
		return &OptionError{"recovery target", "only one of time, LSN, xid, name and immediate can be given"}
	case t.Exclusive && t.Time == "" && t.LSN == "" && t.XID == "":
		return &OptionError{"exclusive", "needs a target time, LSN or xid"}
	case t.Action != "" && t.Action != "pause" && t.Action != "promote" && t.Action != "shutdown":
		return &OptionError{"target action", fmt.Sprintf("%q is not pause, promote or shutdown", t.Action)}
	case t.Action != "" && set == 0:
		return &OptionError{"target action", "needs a recovery target"}
	case len(t.Name) > maxTargetName:
		return &OptionError{"target name", fmt.Sprintf("longer than %d bytes", maxTargetName)}
	}
	if t.XID != "" {
		if n, err := strconv.ParseUint(t.XID, 10, 64); err != nil || n < 3 { // FirstNormalTransactionId
			return &OptionError{"target xid", fmt.Sprintf("%q is not a transaction id", t.XID)}
		}
	}
	switch t.Timeline {
	case "", "latest", "current":
		return nil
	}
	if n, err := strconv.ParseUint(t.Timeline, 10, 32); err != nil || n == 0 {
		return &OptionError{"target timeline", fmt.Sprintf("%q is not latest, current or a number", t.Timeline)}
	}
	return nil
}

// ParseTargetTime reads a recovery target time, with or without zone; without, it is this host's.
func ParseTargetTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	value, layouts := s, []string{time.DateOnly}
	if n := len(time.DateOnly); len(s) > n && (s[n] == ' ' || s[n] == 'T') {
		value, layouts = s[:n]+" "+s[n+1:], nil
		for _, c := range []string{"15:04:05.999999999", "15:04"} {
			for _, z := range []string{"", "Z07:00", " Z07:00", "-07", " -07", "-0700", " -0700", " MST"} {
				layouts = append(layouts, time.DateOnly+" "+c+z)
			}
		}
	}
	for _, layout := range layouts {
		t, err := time.ParseInLocation(layout, value, time.Local)
		if err != nil {
			continue
		}
		if loc := t.Location(); !strings.HasSuffix(layout, "MST") || loc == time.UTC || loc == time.Local {
			return t, nil
		}
		// Go takes an abbreviation that it does not know for UTC.
	}
	return time.Time{}, fmt.Errorf("%q is not a time like 2026-11-23 21:09:00+01", s)
}
