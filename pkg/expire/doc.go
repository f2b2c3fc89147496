// Package expire removes backups that no rule keeps any more, and the archived WAL that no kept
// backup needs. What is kept is decided by pure functions over manifests and names; what
// is removed goes through repo.Remover, which leaves alone what is used, pinned or built on.
//
// Memory: the manifests, and the names of the archived WAL files and page maps.
//
// Reading order: policy.go, the rules; backups.go, which backups they keep; wal.go, which WAL
// those need; run.go, the work; result.go, what is told.
package expire
