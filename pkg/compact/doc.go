// Package compact turns a chain into one full backup inside the repository, without the database.
//
// The new backup holds the state of the newest one of the chain, byte for byte, under an id of the same time
// (repo.CompactedID), and stands for it in the chains of what is built on it. What the next backup trusts of
// its parent is that of the newest one as well: positions, times, identities of files, page hashes. Nothing stored is
// changed; the chain stays until expire takes it. The commit point is the manifest.
//
// Frames that are wholly current go over as they are stored, without being compressed again; of others the
// current pages are put together into new frames. Every page is compared with its hash on the way and every other
// file with its checksum: damage is not copied.
//
// Memory: 12 MiB for each job (a frame stored and uncompressed, a frame being put together and its sorted copy,
// page hashes of a segment, a pack writer), and the index entries of up to ahead files.
//
// Reading order: run.go, pipeline.go, worker.go, batch.go.
package compact
