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
// small files or 63 full segment files of at most 0.6 MiB of runs each. To that
// come about a MiB for each backup of the chain, whose indexes are merged, and the names of
// the largest directory. Measured with two workers: 45 MiB for a full backup of 0.7 GB,
// 67 MiB on a chain of 40, 116 MiB with 1,000,000 files in one directory. What is taken over from an interrupted
// backup takes what repo.Earlier says.
//
// Reading order: run.go and attempt.go have the order of steps; pgdata.go proves whose directory
// it is; parent.go chooses what to build on, choose.go the source of changed blocks; walk.go
// says what belongs to the cluster, plan.go (pure) what to do with each file, *source.go which
// blocks changed; copy.go, worker.go and plainfile.go move bytes; window.go keeps the index in
// order; walmode.go, walneed.go and carry.go see to the WAL. resume.go goes on with a backup that was
// interrupted, takeover.go takes over what it has stored.
package backup
