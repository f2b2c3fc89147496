// Package verify proves that backups can be restored, without restoring them.
//
// It works in two passes. The first reads every stored byte of the backups once:
// frames with their checksums, pages against their hashes, files against theirs,
// global/pg_control, carried and archived WAL. The second asks for each backup
// which frames its chain would give to a restore, as a restore does, and
// whether one of them was found bad. So a bad frame in a full backup condemns
// exactly those incrementals that still need one of its blocks, and says which
// file it is; a bad frame whose blocks are all superseded condemns none but its own.
//
// Memory: jobs × (a frame stored and uncompressed, 2 MiB, and its hashes) + one
// index entry for each job and for each backup of a chain + the bad frames.
//
// Reading order: result.go, run.go, content.go, chain.go.
package verify
