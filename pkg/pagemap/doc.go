// Package pagemap records which blocks of which relation forks changed in one
// range of WAL. It knows nothing of where changes come from (see wal, backup)
// or what is done with them (see backup).
//
// Two rules make a map right where other tools are wrong. Merging is
// commutative: the minimum of the limits and the union of the blocks, nothing
// discarded, so segments may be scanned and merged in any order. And use is
// strict: a block may come from the parent backup only if the parent had it,
// it lies below the limit, and it is not in the set.
//
// Reading order: map.go, set.go, encode.go.
package pagemap
