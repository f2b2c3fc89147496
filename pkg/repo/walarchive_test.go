package repo_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

const segmentSize = 16 << 20

// A WAL file comes out of the archive as it went in, whatever its size, name and compression.
func TestWALRoundTrip(t *testing.T) {
	random := make([]byte, 3<<20+1)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random) // never fails
	for name, data := range map[string][]byte{
		"000000010000000000000001":                 make([]byte, segmentSize),
		"000000010000000000000002":                 random,
		"000000010000000000000003":                 {},
		"000000010000000000000004":                 bytes.Repeat([]byte("a page of WAL, say "), 200_000),
		"000000010000000000000005.partial":         []byte("x"),
		"000000010000000000000005.00000028.backup": []byte("START WAL LOCATION"),
		"00000002.history":                         []byte("1\t0/5000000\tno recovery target specified\n"),
	} {
		for _, z := range []string{"zstd", "zstd:3", "zstd:19", "lz4", "none"} {
			t.Run(name+"/"+z, func(t *testing.T) {
				c := newTestCluster(t, newTestStore(t))
				compression, err := repo.ParseCompression(z)
				must(t, err)
				a := c.WAL(compression)
				must(t, a.Put(t.Context(), name, bytes.NewReader(data)))
				got, err := readWAL(t.Context(), a.Open, name)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes, want %d, %v", len(got), len(data), err)
				}
				r, err := a.Open(t.Context(), name)
				must(t, err)
				got, err = io.ReadAll(iotest.OneByteReader(io.LimitReader(r, 1000)))
				if err != nil || !bytes.Equal(got, data[:min(1000, len(data))]) {
					t.Errorf("in small reads: %d bytes, %v", len(got), err)
				}
				must(t, r.Close())
			})
		}
	}
}

// The rest of a segment after a switch is zeros, which take next to no room.
func TestZerosTakeNoRoom(t *testing.T) {
	st := newTestStore(t)
	a := newTestCluster(t, st).WAL(zstd)
	must(t, a.Put(t.Context(), walSeg, bytes.NewReader(make([]byte, segmentSize))))
	size, err := st.Stat(t.Context(), "main/wal/00000001/"+walSeg)
	if err != nil || size > 5000 {
		t.Errorf("%d bytes, %v", size, err)
	}
}

// Archiving the same content twice is no error, other content under the name is, and the
// first stays.
func TestArchivedOnce(t *testing.T) {
	ctx := t.Context()
	a := newTestCluster(t, newTestStore(t)).WAL(zstd)
	first := bytes.Repeat([]byte("1"), segmentSize)
	must(t, a.Put(ctx, walSeg, bytes.NewReader(first)))
	must(t, a.Put(ctx, walSeg, bytes.NewReader(first)))
	for _, other := range [][]byte{bytes.Repeat([]byte("2"), segmentSize), first[1:], {}} {
		if err := a.Put(ctx, walSeg, bytes.NewReader(other)); !errors.Is(err, repo.ErrExists) {
			t.Errorf("other content of %d bytes: %v", len(other), err)
		}
	}
	got, err := readWAL(ctx, a.Open, walSeg)
	if err != nil || !bytes.Equal(got, first) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// A copy that was damaged in the archive is not taken for the segment that is offered again.
func TestArchivedTwiceOverDamage(t *testing.T) {
	ctx := t.Context()
	st := newTestStore(t)
	a := newTestCluster(t, st).WAL(zstd)
	segment := bytes.Repeat([]byte("segment "), 300_000)
	must(t, a.Put(ctx, walSeg, bytes.NewReader(segment)))
	path := filepath.Join(st.String(), "main/wal/00000001", walSeg)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, 300)
	must(t, err)
	_, err = f.WriteAt([]byte{b[0] ^ 1}, 300)
	must(t, errors.Join(err, f.Close()))
	if err := a.Put(ctx, walSeg, bytes.NewReader(segment)); !errors.Is(err, repo.ErrCorrupt) {
		t.Errorf("archived over a damaged copy: %v", err)
	}
}

// A source that breaks off is an error, never a short segment.
func TestSourceBreaksOff(t *testing.T) {
	a := newTestCluster(t, newTestStore(t)).WAL(zstd)
	for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("disk on fire")} {
		r := io.MultiReader(bytes.NewReader(make([]byte, 5<<20)), iotest.ErrReader(cause))
		if err := a.Put(t.Context(), walSeg, r); !errors.Is(err, cause) {
			t.Errorf("put: %v, want %v", err, cause)
		}
	}
	if has, err := a.Has(t.Context(), walSeg); has || err != nil {
		t.Errorf("has %v, %v", has, err)
	}
}

// Each list has what belongs to it; names that PostgreSQL does not archive are refused.
func TestWALNames(t *testing.T) {
	ctx := t.Context()
	a := newTestCluster(t, newTestStore(t)).WAL(zstd)
	for _, name := range []string{
		"00000002000000000000000B", "00000002000000000000000A", "00000002000000000000000A.partial",
		"000000010000000000000001",
		"000000010000000000000001.00000028.backup", "00000003.history", "00000002.history",
	} {
		must(t, a.Put(ctx, name, strings.NewReader(name)))
	}
	for tli, want := range map[uint32][]string{
		0: {"00000002.history", "00000003.history"},
		1: {"000000010000000000000001", "000000010000000000000001.00000028.backup"},
		2: {"00000002000000000000000A", "00000002000000000000000A.partial", "00000002000000000000000B"},
		3: nil,
	} {
		got, err := a.List(ctx, tli, "")
		must(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("timeline %d: %s", tli, d)
		}
	}
	timelines, err := a.Timelines(ctx)
	if d := cmp.Diff([]uint32{1, 2}, timelines); d != "" || err != nil {
		t.Error(d, err)
	}
	for _, name := range []string{
		"", "x", "../cluster.json", "00000001000000000000000g", "000000010000000000000001.part", "00000000.history",
		"0000000A",
	} {
		if err := a.Put(ctx, name, strings.NewReader("")); err == nil || errors.Is(err, repo.ErrExists) {
			t.Errorf("put %q: %v", name, err)
		}
		if _, err := a.Open(ctx, name); err == nil || errors.Is(err, repo.ErrNotFound) {
			t.Errorf("open %q: %v", name, err)
		}
		if _, err := a.Has(ctx, name); err == nil {
			t.Errorf("has %q: no error", name)
		}
	}
	if _, err := a.Open(ctx, "000000010000000000000002"); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("what is not there: %v", err)
	}
}

// Maps are kept beside the segments; the first one stays.
func TestMaps(t *testing.T) {
	ctx := t.Context()
	a := newTestCluster(t, newTestStore(t)).WAL(zstd)
	big := bytes.Repeat([]byte("map "), 1<<20)
	names := []string{
		"000000010000000000000001", "000000010000000000000002", "000000020000000000000001-0000000200000000000000FF",
	}
	for _, name := range names {
		must(t, a.PutMap(ctx, name, big))
		must(t, a.PutMap(ctx, name, []byte("other")))
		if got, err := a.GetMap(ctx, name); err != nil || !bytes.Equal(got, big) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	got, err := a.ListMaps(ctx, "")
	if d := cmp.Diff(names, got); d != "" || err != nil {
		t.Error(d, err)
	}
	if _, err := a.GetMap(ctx, "000000010000000000000003"); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("what is not there: %v", err)
	}
	for _, name := range []string{"", "short", "../../etc/passwd", "0000000100000000/0000001"} {
		if err := a.PutMap(ctx, name, nil); err == nil {
			t.Errorf("put %q: accepted", name)
		}
	}
}

// A WAL file of one cluster, or of another name, is not taken for the one that is asked for.
func TestMisplacedWAL(t *testing.T) {
	ctx := t.Context()
	st := newTestStore(t)
	a := newTestCluster(t, st).WAL(zstd)
	info := testInfo()
	info.Name, info.SystemIdentifier = "other", testSystem+1
	other, _, err := repo.Init(ctx, st, info)
	must(t, err)
	must(t, a.Put(ctx, walSeg, strings.NewReader("content")))
	must(t, other.WAL(zstd).Put(ctx, walSeg, strings.NewReader("content of another")))
	dir := filepath.Join(st.String(), "main/wal/00000001")
	must(t, os.Link(filepath.Join(dir, walSeg), filepath.Join(dir, "000000010000000000000003")))
	theirs := filepath.Join(st.String(), "other/wal/00000001", walSeg)
	must(t, os.Link(theirs, filepath.Join(dir, "000000010000000000000004")))
	for _, name := range []string{"000000010000000000000003", "000000010000000000000004"} {
		if _, err := a.Open(ctx, name); !errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every flipped byte of an archived segment is an error when it is read.
func TestFlippedWAL(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	a := newTestCluster(t, st).WAL(zstd)
	must(t, a.Put(ctx, walSeg, strings.NewReader(strings.Repeat("segment ", 1000))))
	const object = "main/wal/00000001/" + walSeg
	intact := st.Bytes(object)
	for i := range intact {
		damaged := bytes.Clone(intact)
		damaged[i] ^= 1 << (i % 8)
		st.Damage(object, damaged)
		if data, err := readWAL(ctx, a.Open, walSeg); err == nil {
			t.Errorf("byte %d: %d bytes read", i, len(data))
		}
		st.Damage(object, intact[:i:i])
		if _, err := readWAL(ctx, a.Open, walSeg); !errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("cut off at %d: %v", i, err)
		}
	}
	st.Damage(object, append(bytes.Clone(intact), 0))
	if _, err := readWAL(ctx, a.Open, walSeg); !errors.Is(err, repo.ErrCorrupt) {
		t.Errorf("a byte more: %v", err)
	}
}

// ParseCompression and String are inverses; what -Z does not know is refused.
func TestParseCompression(t *testing.T) {
	for _, s := range []string{"zstd", "zstd:1", "zstd:19", "lz4", "none"} {
		z, err := repo.ParseCompression(s)
		if err != nil || fmt.Sprint(z) != s {
			t.Errorf("%q: %v, %v", s, z, err)
		}
	}
	for _, s := range []string{"", "zstd:", "zstd:0", "zstd:20", "zstd:03", "zstd:+3", "lz4:1", "none:1", "gzip", "ZSTD"} {
		if z, err := repo.ParseCompression(s); err == nil {
			t.Errorf("%q: %v", s, z)
		}
	}
}
