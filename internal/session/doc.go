// Package session reads the terminal sessions that stand in documents, and compares what they show
// with what a terminal has really shown. It runs nothing.
//
// A session is a fenced block marked console. A line that begins with "$ " or "# " (root) is a command,
// lines beginning with "> " continue it, everything else is what it prints.
//
// Some of what is printed is different each time: ids of backups, times, WAL positions, names of WAL
// segments, sizes, durations, system identifiers, and counts of pages, files and objects. In a document
// these stand as they were once, for readers; anything of the same kind matches, and when the document
// names one again in a command, what was really printed takes its place. "…" stands for any text in a line
// or, alone on a line, for any number of lines.
//
// Reading order: parse.go, match.go.
package session
