// Package backup takes one backup of a running cluster: plan, copy, commit.
//
// Everything that is not a main fork is read from today's state in every mode. Of
// main forks, an incremental backup stores the blocks that a source names (page
// maps made from WAL, the server's summaries, the pages themselves), the blocks
// that the parent did not have, and the blocks that were corrupt in the parent.
//
// What is provided: a committed backup is complete and restorable on its own
// terms: its chain was opened, its WAL is archived or carried. What is never
// done: a source that could not be proved complete is not used, a file is not
// skipped without an entry in the manifest's warnings (except what PostgreSQL's
// own base backups leave out), and nothing is written to the data directory.
//
// Memory: each worker holds one frame of 1 MiB, its compressed form, the runs of
// one part (64 MiB of a file) and at most one segment file's page hashes (1 MiB);
// the window of finished files that wait for an earlier one is bounded to 4096
// small files or 64 full segment files of at most 0.6 MiB of runs each; one index
// block for each backup of the chain. With two workers that is below 60 MiB,
// whatever the size of the cluster, plus the names of the largest directory.
//
// Reading order: run.go has the order of steps; pgdata.go proves whose directory
// it is; parent.go chooses what to build on; walk.go says what belongs to the
// cluster, plan.go (pure) what to do with each file, source*.go which blocks
// changed; copy.go, part.go and file.go move bytes; window.go keeps the index in
// order; walneed.go and carry.go see to the WAL.
package backup
