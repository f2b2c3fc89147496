package expire

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Policy says which backups are kept: those that any rule wants, and what they are built on. A rule of
// 0 is none. Days, weeks and months are UTC's.
//
// Whatever it says, the newest full backup and the newest backup that can be restored stay, and
// those that are pinned or used.
type Policy struct {
	KeepFull    int // the newest full backups, and all that is built on them
	KeepDays    int // backups younger than so many days, and the newest older one, so that all these days can be reached
	KeepDaily   int // the newest backup of each of so many days that have one
	KeepWeekly  int // of so many ISO weeks
	KeepMonthly int // of so many months

	// WALDays bounds the continuous WAL: only the last so many days can be reached at any
	// point; older backups keep the WAL to their own end. 0: no bound.
	WALDays int
	// Damaged removes backups that cannot be restored, if nothing that can be is built on them.
	Damaged bool
}

// maxRule bounds the numbers of a policy.
const maxRule = 100_000

// verify refuses a policy that has no rule.
func (p Policy) verify() error {
	rules := []int{p.KeepFull, p.KeepDays, p.KeepDaily, p.KeepWeekly, p.KeepMonthly}
	for _, n := range append(rules, p.WALDays) {
		if n < 0 || n > maxRule {
			return fmt.Errorf("%w: %d is not between 0 and %d", ErrPolicy, n, maxRule)
		}
	}
	if slices.Max(rules) == 0 {
		return fmt.Errorf("%w: no rule says what is kept", ErrPolicy)
	}
	return nil
}

// ErrPolicy: the policy makes no sense.
var ErrPolicy = errors.New("retention")

// ago gives the time so many days before now.
func ago(now time.Time, days int) time.Time { return now.Add(-time.Duration(days) * 24 * time.Hour) }
