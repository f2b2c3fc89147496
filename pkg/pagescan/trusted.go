package pagescan

import (
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
)

// TrustMargin is how long before the parent's start a file must have been
// written last to be trusted. It covers timestamps of two seconds' granularity, and a
// write(2) that got its time, then waited for memory or a slow disk, and
// changed the page only when the parent had already read it.
const TrustMargin = time.Minute

// maxStep is the difference between a wall clock and a steady clock above which the wall clock
// was set, beyond one part in a thousand of the time passed, which slewing may add.
const maxStep = time.Second

// Trusted says that a file is provably the one that the parent backup copied, and not
// written since. parentStarted is a time on this host's clock before the parent
// described the file; recorded is that description, made before the file was read.
//
// The proof: device, inode and birth time make it the same file. A later write would have
// set the times to those of its moment. These are not the recorded ones, which
// lie a margin before the parent's start: only a clock that was set back, and came to
// the very same nanosecond again, could make them equal. The change time cannot be
// set by a program, so copies and tools that preserve the modification
// time change it. A file system that keeps no birth times (network ones, most in
// user space) is not trusted at all, nor is a clock that now reads earlier than
// the parent's start, nor times in the future.
func Trusted(now, parentStarted time.Time, recorded, current Written) bool {
	limit := parentStarted.Add(-TrustMargin).UnixNano()
	past := func(t int64) bool { return t > 0 && t < limit }
	return recorded == current &&
		recorded.Inode != 0 &&
		past(current.BirthTime) && past(current.ChangeTime) && past(current.ModTime) &&
		!now.Before(parentStarted)
}

// Continued says that a file is the one that was recorded, and that whatever happened to it since was
// done as a server does it: not at all, or by writing. Page LSNs say what a server changed; about
// a file that somebody copied, restored or rolled back they say nothing.
//
// A write sets both times to the same moment, later than all before. So a modification time that lies apart from
// the change time was set (cp -p, rsync -t, touch), by somebody who may have
// written old pages; a change time before the recorded one is that of a file system rolled back to a
// snapshot, or of a clock set back. That a copy was put in place is not seen any more once
// the server has written to the file. Without birth times nothing proves that it is the same file: inode
// numbers are given out again.
func Continued(recorded, current repo.Identity) bool {
	same := recorded.BirthTime != 0 && recorded.BirthTime == current.BirthTime &&
		recorded.Device == current.Device && recorded.Inode == current.Inode
	return same && (recorded == current ||
		current.ChangeTime > recorded.ChangeTime && current.ModTime == current.ChangeTime)
}

// ClockStepped says whether the wall clock was set between two readings of time.Now in
// one process. A backup during which it was must record no identities: its times do not
// tell what was written while it ran.
func ClockStepped(from, to time.Time) bool {
	return stepped(to.Round(0).Sub(from.Round(0)), to.Sub(from))
}

func stepped(wall, steady time.Duration) bool {
	return (wall - steady).Abs() > maxStep+steady.Abs()/1000
}
