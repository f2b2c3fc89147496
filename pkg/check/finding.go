package check

import (
	"fmt"
	"time"
)

// Status is the verdict of a check.
type Status string

// The verdicts.
const (
	OK       Status = "ok"
	Warning  Status = "warning"  // somebody should look at it some day
	Critical Status = "critical" // a restore, or the next backup, may fail
	Skipped  Status = "skipped"  // it could not be looked at, or was not asked for
)

// Finding is what one check said.
type Finding struct {
	Name    string   `json:"name"`
	Status  Status   `json:"status"`
	Message string   `json:"message"`          // one line
	Remedy  string   `json:"remedy,omitempty"` // one line, where there is one
	Metrics []Metric `json:"metrics,omitempty"`
	Repo    string   `json:"repo,omitempty"` // where several are looked at: which one
}

// Metric is a number behind a verdict.
type Metric struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`            // s, B, c of what only grows, "" of a count
	Limit float64 `json:"limit,omitempty"` // above which it is not ok; 0: none
}

// Options say what is wanted of a cluster. Ages and counts of 0 are no demand.
type Options struct {
	MaxBackupAge  time.Duration // since the newest backup ended
	MaxArchiveAge time.Duration // since WAL arrived, where there is WAL to be archived
	MaxDrillAge   time.Duration // since the newest drill
	MaxChain      int           // backups in the newest one's chain
	// SwitchWAL ends the server's WAL segment and waits as long for it to arrive; 0: it is not ended.
	SwitchWAL time.Duration
	Dir       string // of a repository that is a directory; ""
	// ArchiveCommand is what the server should have, for remedies.
	ArchiveCommand string
	Clock          func() time.Time
}

// Worst gives the most serious verdict; what was skipped counts for nothing.
func Worst(findings []Finding) Status {
	worst := OK
	for _, f := range findings {
		switch {
		case f.Status == Critical:
			return Critical
		case f.Status == Warning:
			worst = Warning
		}
	}
	return worst
}

// Failed is the finding that something could not be looked at because of an error.
func Failed(name string, err error, remedy string) Finding {
	return Finding{Name: name, Status: Critical, Message: err.Error(), Remedy: remedy}
}

func ok(name, format string, args ...any) Finding {
	return Finding{Name: name, Status: OK, Message: fmt.Sprintf(format, args...)}
}

func skipped(name, format string, args ...any) Finding {
	return Finding{Name: name, Status: Skipped, Message: fmt.Sprintf(format, args...)}
}

// bad is a finding with a remedy.
func bad(status Status, name, remedy, format string, args ...any) Finding {
	return Finding{Name: name, Status: status, Remedy: remedy, Message: fmt.Sprintf(format, args...)}
}

// with adds a number.
func (f Finding) with(name string, value float64, unit string, limit float64) Finding {
	f.Metrics = append(f.Metrics, Metric{Name: name, Value: value, Unit: unit, Limit: limit})
	return f
}

// ageText prints an age for people.
func ageText(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	}
	if 0 < d && d < time.Second {
		return d.Round(time.Millisecond).String() // a limit, perhaps, which is not 0
	}
	return d.Round(time.Second).String()
}
