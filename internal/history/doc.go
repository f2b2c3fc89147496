// Package history invents random histories of PostgreSQL clusters: a kind of
// cluster and a sequence of steps, each an operation that users or operators
// do, with backups in between. The same seed and major version give the same
// history, as long as every step has the same outcome.
//
// The package only invents. A Generator keeps a model of what exists, so that most of what it
// proposes can be done; whoever carries the steps out tells it by Done
// which ones were. It knows nothing of backups but when to take them.
//
// Reading order: cluster.go, step.go, model.go, generator.go, operations.go, then the
// operations by what they touch.
package history
