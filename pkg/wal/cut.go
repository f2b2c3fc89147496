package wal

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
)

// A record may have 1 GiB: a logical message, or a commit of very many relations. This file bounds what is held of one.

const (
	// maxHeld is the most that is held of one record that crosses segments, in bytes. Of those that are looked
	// into, longer ones make a range unusable: a commit that drops five million relations.
	maxHeld = 64 << 20
	// cutFrom is the length, in bytes, from which a record that is not looked into is cut when it is put together, and
	// from which stretches that lie within a record are not joined to runs. Shorter ones can still be stored, as
	// the head or tail of a run of segments.
	cutFrom = 16 << 20
	// cutTo is what is kept of it, in bytes: more than the headers of all 33 blocks that it may have.
	cutTo = 64 << 10
)

// errTooLong: a record, or what a segment has of it, is longer than what is held of one.
var errTooLong = fmt.Errorf("more than %d MiB of it are not held", maxHeld>>20)

var errCutRecord = errors.New("a record is not held to its end")

// cut is what is known of a record of which nothing but the begin is held.
type cut struct {
	len uint64 // bytes seen of the record
	crc uint32 // CRC-32C of them from recordHeaderSize on
}

// addToTail adds the bytes that follow the tail.
func (s *Stretch) addToTail(b []byte) {
	if s.cut != nil {
		s.cut.len += uint64(len(b))
		s.cut.crc = pg.UpdateCRC32C(s.cut.crc, b)
		return
	}
	s.Tail = append(s.Tail, b...)
	if r := record(s.Tail); len(r) > cutFrom && !r.isLookedInto() {
		s.cut = &cut{len: uint64(len(r)), crc: pg.CRC32C(r[recordHeaderSize:])}
		s.Tail = bytes.Clone(r[:cutTo])
	}
}

// tailLen gives how many bytes of the record that runs over the end of the stretch lie in it.
func (s *Stretch) tailLen() uint64 {
	if s.cut != nil {
		return s.cut.len
	}
	return uint64(len(s.Tail))
}
