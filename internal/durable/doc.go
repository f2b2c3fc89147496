// Package durable is the one door to files that must survive a crash: a
// temporary file in the same directory, written, synced, given its name, and
// the directory synced. Atomicity comes from the naming, durability from the
// two syncs; both are needed.
//
// WriteFile replaces, File creates and never replaces. MkdirAll makes
// directories whose names are durable too.
//
// Temporary files are called ".<name>.<random>.tmp". A File holds a flock on its
// temporary file, so that RemoveDead can tell one that is being written from
// one whose writer died.
package durable
