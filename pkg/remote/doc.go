// Package remote keeps a repository on a service that is reached over a network: object
// storage, or a host with SFTP. A Store is a repo.Store on a Service, which does single requests and
// has a package of its own below this one (s3, gcs, azure, sftp).
//
// What is the same for all of them is here: retries with back-off, limits of time and of requests
// under way (retry.go), objects written in parts while they are made (write.go), reading ahead
// (read.go), locks as leases (lock.go), and the errors that a caller decides on (errors.go).
//
// An object appears with the one request that names it, which the service carries out only if
// nothing has that name. Where the answer to that request is lost, a token that was sent along tells whether
// the object that is there is the one that was sent. What a service says is absent is believed only
// after a listing has shown it, so that a proxy's "not found" is never taken for the end of an archive; but for
// a service between which and this host nothing can stand.
//
// Memory of a Store, whatever the size of what it holds:
//
//	8 MiB      for each object that is being written and has more than 1 MiB (the part being filled)
//	4 × 8 MiB  parts under way, of all objects together: a writer waits before there are more
//	32 MiB     read ahead, of all objects together; and 64 KiB for each open object
//
// With two jobs a backup has two packs, two hash objects and an index open: 72 MiB at most.
//
// Reading order: service.go, store.go, retry.go, write.go, read.go, lock.go, lease.go.
package remote
