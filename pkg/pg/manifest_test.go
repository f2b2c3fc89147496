package pg

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The text is the server's, in both versions: escapes, hexadecimal paths, checksums in memory order.
func TestManifestText(t *testing.T) {
	const files = `"Files": [
{ "Path": "PG_VERSION", "Size": 3, "Last-Modified": "2026-11-23 20:09:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "04030201" },
{ "Path": "a\"\\\n\u0001é/", "Size": 0, "Last-Modified": "2026-11-23 20:09:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" },
{ "Encoded-Path": "612fff", "Size": 4294967296, "Last-Modified": "2026-11-23 20:09:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "ffffffff" }
],
"WAL-Ranges": [
{ "Timeline": 2, "Start-LSN": "0/3000000", "End-LSN": "0/4000000" },
{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/3000000" }
],
`
	for major, begin := range map[int]string{
		16: "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n",
		17: "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": 7441863719265398291,\n",
	} {
		text := begin + files
		want := text + fmt.Sprintf("\"Manifest-Checksum\": \"%x\"}\n", sha256.Sum256([]byte(text)))
		var b bytes.Buffer
		m := NewManifestWriter(&b, major, 7441863719265398291)
		mtime := time.Date(2026, 11, 23, 21, 9, 0, 999, time.FixedZone("", 3600))
		err := errors.Join(
			m.AddFile("PG_VERSION", 3, mtime, 0x01020304),
			m.AddFile("a\"\\\n\x01é/", 0, mtime, 0),
			m.AddFile("a/\xff", 1<<32, mtime, 0xFFFFFFFF),
			m.Close([]WALRange{{2, 0x3000000, 0x4000000}, {1, 0x2000028, 0x3000000}}),
		)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%d: %s", major, diff)
		}
		if !json.Valid(b.Bytes()) {
			t.Errorf("%d: not JSON", major)
		}
	}
}

// Any valid path can be read back from its JSON form.
func TestManifestPathInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "path")
		var got string
		if err := json.Unmarshal(appendJSONString(nil, want), &got); err != nil || got != want {
			t.Fatalf("%q became %q, %v", want, got, err)
		}
	})
}

// failAfter fails every write after the first n.
type failAfter struct{ n int }

var errFull = errors.New("disk is full")

func (f *failAfter) Write(b []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// A failed write is the result of every later call, and nothing can be added after Close.
func TestManifestErrors(t *testing.T) {
	for n := range 4 {
		m := NewManifestWriter(&failAfter{n}, 17, 1)
		err := errors.Join(m.AddFile("a", 1, time.Time{}, 1), m.AddFile("b", 1, time.Time{}, 1))
		if got := m.Close(nil); !errors.Is(got, errFull) {
			t.Errorf("%d writes: Close: %v", n, got)
		}
		if (n < 2) != errors.Is(err, errFull) {
			t.Errorf("%d writes: AddFile: %v", n, err)
		}
	}
	m := NewManifestWriter(io.Discard, 17, 1)
	if err := m.Close(nil); err != nil {
		t.Fatal(err)
	}
	if m.AddFile("a", 1, time.Time{}, 1) == nil || m.Close(nil) == nil {
		t.Error("a closed manifest goes on")
	}
}
