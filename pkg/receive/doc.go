// Package receive streams WAL from a server into a repository, in place of an archive_command.
//
// Complete segments, history files and page maps are stored as archive-push stores them. What there is of
// the segment that is being written is stored in parts (repo.Part), every flush interval, so that a server that
// is lost loses what was written after the last flush. A position is confirmed to the server, which may
// then remove its WAL, only when everything before it is durable in the repository.
//
// A receiver begins where the complete segments of the archive end on the server's line of history, always at the
// beginning of a segment, which the server still has: a slot holds whole segments. It keeps no state of its own.
// Where a timeline ends it stores the next one's history file and follows, from the beginning of the segment in
// which that begins. A server on another line of history, or another cluster, is refused.
//
// Memory: a message (128 KiB) and what a push takes. The segment is kept in an unnamed file in the
// directory for temporary files.
//
// Reading order: receive.go (tries again and again), session.go (one connection), start.go (where to
// begin), segment.go (what becomes of the bytes).
package receive
