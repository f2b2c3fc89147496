package pg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readControl reads the pg_control of a real server of a major version. Only its
// first sector is kept; the rest is zeros.
func readControl(t testing.TB, major int) []byte {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("testdata/pg_control.%d", major))
	if err != nil {
		t.Fatal(err)
	}
	return append(b, make([]byte, ControlFileSize-len(b))...)
}

// Real files of every version are read; the expected values are what pg_controldata printed for them.
func TestParseControl(t *testing.T) {
	for major, want := range wantControl(t) {
		c, err := ParseControl(readControl(t, major))
		if diff := cmp.Diff(want, c); err != nil || diff != "" {
			t.Errorf("%d: %v %s", major, err, diff)
		}
		if got, ok := MajorOfCatalog(c.CatalogVersion); !ok || got != major {
			t.Errorf("%d: catalog version %d is of %d", major, c.CatalogVersion, got)
		}
	}
	if _, ok := MajorOfCatalog(202001010); ok {
		t.Error("a development version has a major")
	}
	if got := TablespaceVersionDir(17, 202406281); got != versionDir {
		t.Errorf("directory %s", got)
	}
}

// The fields that are zero in a server at rest are those of a restored backup in recovery.
func TestParseControlInRecovery(t *testing.T) {
	for _, major := range []int{13, 17} { // 18 keeps its CRC elsewhere, the fields at the same offsets
		b := readControl(t, major)
		for off, v := range map[int]uint64{136: 0x1_00000001, 152: 0x2_00000002, 160: 0x3_00000003} {
			binary.LittleEndian.PutUint64(b[off:], v)
		}
		b[52], b[144], b[168] = 7, 8, 1
		c, err := ParseControl(sealControl(b))
		want := wantControl(t)[major]
		want.PrevTimeline, want.MinRecoveryTimeline, want.BackupEndRequired = 7, 8, true
		want.MinRecoveryPoint, want.BackupStart, want.BackupEnd = 0x1_00000001, 0x2_00000002, 0x3_00000003
		if diff := cmp.Diff(want, c); err != nil || diff != "" {
			t.Errorf("%d: %v %s", major, err, diff)
		}
	}
}

// A change of any byte that the CRC covers, and of the CRC, is noticed; the rest of the file means nothing.
func TestParseControlDamage(t *testing.T) {
	for major, size := range map[int]int{13: 292, 16: 292, 17: 292, 18: 296} {
		good := readControl(t, major)
		for i := range good[:size+8] {
			bad := append([]byte(nil), good...)
			bad[i] ^= 0x80
			if _, err := ParseControl(bad); (err == nil) != (i >= size) {
				t.Errorf("%d: byte %d: %v", major, i, err)
			}
		}
		for n := range 296 {
			if _, err := ParseControl(good[:n]); err == nil {
				t.Errorf("%d: %d bytes are enough", major, n)
			}
		}
	}
}

// sealControl gives a changed file of 13 to 17 a right CRC.
func sealControl(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[288:], CRC32C(b[:288]))
	return b
}

// A file that is whole but not one this program understands says which version or value that is.
func TestParseControlRefuses(t *testing.T) {
	for name, change := range map[string]func(b []byte){
		"pg_control: version 1902 is not one of PostgreSQL 13 to 18 (1300, 1700, 1800)": func(b []byte) {
			binary.LittleEndian.PutUint32(b[8:], 1902)
		},
		"pg_control: written on a big-endian machine": func(b []byte) {
			binary.BigEndian.PutUint32(b[8:], 1700)
		},
		"pg_control: float format 1, want 1234567": func(b []byte) {
			binary.LittleEndian.PutUint64(b[208:], 0x3FF0000000000000)
		},
		"pg_control: block size 8193: not a power of two from 1024 to 32768": func(b []byte) {
			binary.LittleEndian.PutUint32(b[216:], 8193)
		},
	} {
		b := readControl(t, 17)
		change(b)
		if _, err := ParseControl(sealControl(b)); err == nil || err.Error() != name {
			t.Errorf("%v, want %s", err, name)
		}
	}
}

func FuzzParseControl(f *testing.F) {
	for major := range wantControl(f) {
		f.Add(readControl(f, major)[:296])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 296 {
			b = sealControl(bytes.Clone(b))
		}
		c, err := ParseControl(b)
		if err == nil && c.Geometry.Verify() != nil {
			t.Errorf("geometry %+v", c.Geometry)
		}
	})
}
