// Package restore rebuilds a data directory from a chain: plan, copy, commit.
//
// The plan reads the indexes of the chain once and refuses everything that can
// be refused before a byte is written: a directory that is in use, a path that
// would leave it, a tablespace in the way, a disk that is too small, WAL that is
// missing. The copy reads the indexes again, as a stream, and puts relation files
// together part by part in memory, from the frames that supply a block of the part;
// each part is written in long stretches, once, zero pages stay holes, and nothing
// is read back. The commit makes everything durable with one flush for each file
// system and gives global/pg_control its name last.
//
// The package never starts from, and never leaves, half a restore that
// PostgreSQL would accept: without global/pg_control it refuses to start.
//
// Memory is jobs × (two parts of a file: 16 MiB; one frame as it is stored and once more
// uncompressed, and where plain files are compared what is there as well: 3 MiB)
// + the index entries of the files being written, of which there are at most
// jobs + 1 (an entry of a 1 GiB segment with every second block stored is 1 MiB)
// + the reading of the chain's indexes (package repo) + at most 16384 finished
// lines of backup_manifest that wait for an earlier one (3 MiB). It depends
// neither on the size of the cluster nor on the number of files. Open files:
// jobs + 1 files, their directories, the directories above the current path, and the packs
// that package repo holds open.
//
// Reading order: options.go, run.go, plan.go, path.go, target.go, tree.go,
// copy.go, part.go, work.go, plain.go, relation.go, mend.go, out.go, commit.go, recovery.go.
package restore
