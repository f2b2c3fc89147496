package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind is what has to be done for a step.
type Kind int

// The kinds of steps.
const (
	SQL        Kind = iota // run statements
	Tablespace             // make a directory, create the tablespace Name in it
	File                   // write the file Name of the data directory, of Size bytes
	Crash                  // stop immediately (Kill: by SIGKILL) and start again
	Restart                // stop and start with Settings
	Checksums              // switch data checksums, offline
	Failover               // go on with a standby that replayed everything
	Recover                // go on with what a restore to the end of WAL gives
	Rewind                 // go on with what a restore of an earlier backup gives: Pick says which
	TakeBackup             // see Backup
	Interrupt              // begin a backup and crash the server meanwhile
	End                    // the history is over
)

// Step is one thing that happens.
type Step struct {
	Kind Kind
	Op   string // what a person would call it
	Name string

	DB      string
	Session string   // the name of a session that stays open; "": one of its own
	SQL     []string // one after the other
	// Refusal says that the last statement may be refused: it was invented to fail, or depends on what
	// the model does not know.
	Refusal bool
	// GoesOn: a refusal of any statement but the last is no matter.
	GoesOn bool
	Close  bool // close the session afterwards

	Size     int
	Kill     bool
	Settings map[string]string
	Pick     int
	Backup   Backup

	apply func() // changes the model, when it was done
}

// Backup says which backup to take.
type Backup struct {
	Full    bool
	Sources []string // one incremental of each, on the same parent
	Parent  Parent
	Pick    int // for EarlierParent
	// Load is the number of operations that another session does meanwhile. None: nothing
	// happens in the cluster, and the backup can be compared with it.
	Load int
	// Reference says that the cluster's contents have to be compared too, by servers.
	Reference bool
}

// Parent is what an incremental backup is built on.
type Parent int

// The parents. An earlier one is chosen by Backup.Pick among those that can be built on.
const (
	LatestParent Parent = iota
	LatestFullParent
	EarlierParent
)

// String is one line, or for SQL one more for each statement.
func (s Step) String() string {
	var out strings.Builder
	out.WriteString(s.Op)
	switch s.Kind {
	case SQL:
		fmt.Fprintf(&out, " in %s", s.DB)
		if s.Session != "" {
			fmt.Fprintf(&out, ", session %s", s.Session)
		}
		for _, statement := range s.SQL {
			out.WriteString("\n        " + statement + ";")
		}
	case Restart:
		for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
			fmt.Fprintf(&out, " %s=%s", name, s.Settings[name])
		}
	case TakeBackup:
		fmt.Fprintf(&out, " %+v", s.Backup)
	case Tablespace, File:
		out.WriteString(" " + s.Name)
	case Crash, Checksums, Failover, Recover, Rewind, Interrupt, End:
	}
	return out.String()
}
