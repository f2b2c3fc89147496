package pg

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"time"
	"unicode/utf8"
)

// BackupManifestName is the name of the manifest in a data directory.
const BackupManifestName = "backup_manifest"

// ManifestWriter writes a backup_manifest (backup/backup_manifest.c) that
// pg_verifybackup of the same major version accepts, byte for byte as the
// server's. Not to be confused with pgincr's own manifest in package repo. After an error every
// call fails with it.
type ManifestWriter struct {
	w     io.Writer
	sum   hash.Hash // of all bytes so far
	buf   []byte
	files bool // one file at least is listed
	err   error
}

// errManifestClosed is what calls after Close get.
var errManifestClosed = errors.New("backup_manifest: closed already")

// NewManifestWriter starts a manifest on w: version 1 for servers 13 to 16,
// version 2, which carries the system identifier, from 17 on.
func NewManifestWriter(w io.Writer, major int, systemID uint64) *ManifestWriter {
	m := &ManifestWriter{w: w, sum: sha256.New()}
	if major >= 17 {
		m.buf = fmt.Appendf(m.buf, "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"+
			"\"System-Identifier\": %d,\n\"Files\": [", systemID)
	} else {
		m.buf = append(m.buf, "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": ["...)
	}
	return m
}

// AddFile lists one file; crc32c is the checksum of its content.
func (m *ManifestWriter) AddFile(path string, size int64, mtime time.Time, crc32c uint32) error {
	if m.files {
		m.buf = append(m.buf, ',')
	}
	m.files = true
	b := append(m.buf, '\n')
	if utf8.ValidString(path) {
		b = append(b, `{ "Path": `...)
		b = appendJSONString(b, path)
	} else {
		b = append(b, `{ "Encoded-Path": "`...)
		b = hex.AppendEncode(b, []byte(path))
		b = append(b, '"')
	}
	b = append(b, `, "Size": `...)
	b = strconv.AppendInt(b, size, 10)
	b = append(b, `, "Last-Modified": "`...)
	b = mtime.UTC().AppendFormat(b, time.DateTime)
	b = append(b, ` GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "`...)
	// The server prints the bytes of the number in memory (pg_checksum_final).
	b = hex.AppendEncode(b, binary.LittleEndian.AppendUint32(nil, crc32c))
	m.buf = append(b, `" }`...)
	return m.flush()
}

// Close writes the WAL ranges (newest timeline first) and the manifest's checksum. It does not close w.
func (m *ManifestWriter) Close(ranges []WALRange) error {
	m.buf = append(m.buf, "\n],\n\"WAL-Ranges\": [\n"...)
	for i, r := range ranges {
		if i > 0 {
			m.buf = append(m.buf, ",\n"...)
		}
		m.buf = fmt.Appendf(m.buf, `{ "Timeline": %d, "Start-LSN": "%s", "End-LSN": "%s" }`,
			r.Timeline, r.Start, r.End)
	}
	m.buf = append(m.buf, "\n],\n"...)
	if err := m.flush(); err != nil {
		return err
	}
	m.buf = fmt.Appendf(m.buf, "\"Manifest-Checksum\": \"%x\"}\n", m.sum.Sum(nil))
	if err := m.flush(); err != nil {
		return err
	}
	m.err = errManifestClosed
	return nil
}

// flush hands what was formatted to the writer and to the sum.
func (m *ManifestWriter) flush() error {
	if m.err != nil {
		return m.err
	}
	m.sum.Write(m.buf) // never fails
	_, m.err = m.w.Write(m.buf)
	m.buf = m.buf[:0]
	return m.err
}

// appendJSONString quotes s as the server does (escape_json, utils/adt/json.c).
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		case '"', '\\':
			b = append(b, '\\', c)
		default:
			if c < ' ' {
				b = fmt.Appendf(b, `\u%04x`, c)
			} else {
				b = append(b, c)
			}
		}
	}
	return append(b, '"')
}
