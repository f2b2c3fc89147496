// Package repo keeps backups and archived WAL of clusters on a Store: packs of
// compressed frames, an index of files, page hashes, and a manifest whose
// appearance is the commit of a backup. docs/format.md describes every byte.
//
// Nothing stored is ever modified. What lies below a backup's name without a
// manifest is not a backup; a later expire may delete it.
//
// Reading order: store.go, cluster.go, manifest.go, file.go, write.go, read.go,
// chain.go, walarchive.go.
package repo
