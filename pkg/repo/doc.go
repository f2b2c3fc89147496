// Package repo keeps backups and archived WAL of clusters on a Store: packs of
// compressed frames, an index of files, page hashes, and a manifest whose
// appearance is the commit of a backup. docs/format.md describes every byte.
//
// Nothing stored is ever modified. What lies below a backup's name without a
// manifest is not a backup; a later backup may go on with it (ResumeBackup), or expire delete it. Who reads a
// backup holds it (Use, OpenChain), and who removes one makes sure that nobody does (Remover): use.go has the
// proof. Every stored byte is
// covered by a checksum that is bound to its object and its place there, and what
// is read is verified before it is given out: an error, never other content.
//
// Memory: writing takes 6 MiB for each PackWriter at the default level, plus one
// index block of 256 KiB; archiving a WAL file 4 × 4 MiB; reading 1 MiB for each
// frame at a time; joining a chain 1 MiB for each of its backups; verifying 3 MiB
// for each job and 8 bytes for each frame. One index entry is always whole in
// memory: 16 KiB for a relation segment of 1 GB.
//
// Reading order: store.go, cluster.go, manifest.go, file.go, write.go, read.go,
// chain.go, resolve.go, walarchive.go, verify.go, use.go, remove.go, resume.go, earlier.go. Below them object.go
// and frame.go, the one shape of all objects; entry.go, an entry of an index; sealed.go, the
// shape of JSON; dirstore.go, the store that is a directory.
package repo
