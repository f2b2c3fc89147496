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
// Memory: about 100 bytes for each fork, and for each 65536 blocks of it 50
// bytes and 4 for each run of neighbouring changed blocks, at most 8 KiB. So
// 16 MiB for the worst changes to 1 TiB of 8 KiB pages, 3 MiB when 1 % of
// its pages changed at random, and next to nothing when all did. Decode
// allocates at most 32 times the length of its input.
//
// Reading order: map.go, changes.go, set.go, chunk.go, encode.go, decode.go.
package pagemap
