package pg

// History is the line of timelines that lead to one timeline: what its
// .history file says.
type History struct {
	Timeline TimelineID
	// Ancestors are the timelines before it, oldest first. Empty on timeline 1.
	Ancestors []Ancestor
}

// Ancestor is one timeline of a history and where the next one left it.
type Ancestor struct {
	Timeline TimelineID
	End      LSN // first position that belongs to the next timeline
	Reason   string
}

// ParseHistory reads a .history file (access/timeline.c): lines of parent
// timeline, switch position and reason; blank lines and comments allowed.
func ParseHistory(tli TimelineID, data []byte) (History, error) { panic("stub") }

// Format writes the history as a .history file that ParseHistory reads.
func (h History) Format() []byte { panic("stub") }

// Contains says whether position lsn of timeline tli was lived through by this
// history: tli is the newest timeline, or an ancestor and lsn <= its End.
func (h History) Contains(tli TimelineID, lsn LSN) bool { panic("stub") }

// Ranges cuts [from, to) into the stretches of WAL of each timeline, oldest
// first. from lies on timeline tli, which must be in the history.
func (h History) Ranges(tli TimelineID, from, to LSN) ([]WALRange, error) { panic("stub") }

// SameLine says whether two histories agree up to and including position lsn on timeline
// tli: the same ancestors with the same ends. It tells apart two standbys
// that were promoted to the same timeline number.
func (h History) SameLine(o History, tli TimelineID, lsn LSN) bool { panic("stub") }
