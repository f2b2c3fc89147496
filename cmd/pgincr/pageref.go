package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pgincr/pgincr/pkg/pg"
)

// pageRef names a block of a fork, as --page does.
type pageRef struct {
	fork  pg.RelFork
	block pg.BlockNumber
	segno uint32 // that was named; 0 where none was
}

// parsePageRef reads PATH:BLOCK and TABLESPACE/DATABASE/RELATION[_FORK]:BLOCK, also with the fork and the block behind
// slashes. Blocks are those of the fork.
func parsePageRef(s string) (pageRef, error) {
	bad := fmt.Errorf("%q: want the path of a relation's file or TABLESPACE/DATABASE/RELATION[_FORK], then a colon "+
		"and the block within the fork: base/5/16384:0 or 1663/5/16384_vm:0", s)
	name, number, ok := cutLastAny(s, ":")
	if !ok {
		rest, block, _ := cutLastAny(s, "/")
		rel, fork, _ := cutLastAny(rest, "/")
		name, number = rel, block
		if fork != pg.MainFork.String() {
			name += "_" + fork
		}
	}
	block, err := strconv.ParseUint(number, 10, 32)
	if err != nil || pg.BlockNumber(block) > pg.MaxBlock {
		return pageRef{}, bad
	}
	ref := pageRef{block: pg.BlockNumber(block)}
	if segment, ok := pg.ParseRelPath(name); ok {
		ref.fork, ref.segno = segment.RelFork, segment.Segno
		return ref, nil
	}
	// The relation's name has the grammar of a file's.
	spc, rest, _ := strings.Cut(name, "/")
	db, file, _ := strings.Cut(rest, "/")
	tablespace, err1 := strconv.ParseUint(spc, 10, 32)
	database, err2 := strconv.ParseUint(db, 10, 32)
	segment, ok := pg.ParseRelPath("base/1/" + file)
	global := tablespace == uint64(pg.GlobalTablespace)
	if err1 != nil || err2 != nil || !ok || segment.Segno != 0 || tablespace == 0 || global != (database == 0) {
		return pageRef{}, bad
	}
	ref.fork = segment.RelFork
	ref.fork.Spc, ref.fork.DB = pg.OID(tablespace), pg.OID(database)
	return ref, nil
}

// cutLastAny cuts around the last separator.
func cutLastAny(s, separator string) (before, after string, ok bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+len(separator):], true
}
