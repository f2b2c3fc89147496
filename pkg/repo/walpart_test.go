package repo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

const partial = "000000010000000000000007"

// What is stored of a segment comes out as far as it reaches without a gap, whatever its parts, then zeros.
func TestParts(t *testing.T) {
	const size = 1 << 20
	segment := make([]byte, size)
	for i := range segment {
		segment[i] = byte(i>>8) | 1
	}
	for _, tt := range []struct {
		name  string
		parts [][2]uint32
		want  int64
	}{
		{"one", [][2]uint32{{0, 5000}}, 5000},
		{"many", [][2]uint32{{0, 100}, {100, 101}, {101, 70000}}, 70000},
		{"replaced, not all removed", [][2]uint32{{0, 100}, {100, 200}, {0, 300}}, 300},
		{"overlapping", [][2]uint32{{0, 200}, {100, 250}, {220, 400}}, 400},
		{"a gap", [][2]uint32{{0, 100}, {101, 200}}, 100},
		{"whole", [][2]uint32{{0, size}}, size},
		{"none at the beginning", [][2]uint32{{1, 100}}, 0},
		{"beyond the segment", [][2]uint32{{0, 100}, {100, size + 1}}, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTestCluster(t, newTestStore(t))
			a := c.WAL(repo.Compression{})
			for _, b := range tt.parts {
				data := append(bytes.Clone(segment), 0)[b[0]:b[1]]
				for range 2 { // the same again is no error
					must(t, a.PutPart(t.Context(), repo.Part{Segment: partial, Begin: b[0], End: b[1]}, bytes.NewReader(data)))
				}
			}
			var got bytes.Buffer
			end, err := a.CopyPartial(t.Context(), partial, size, &got)
			if tt.want == 0 {
				if !errors.Is(err, repo.ErrNotFound) {
					t.Errorf("%d, %v", end, err)
				}
				return
			}
			want := append(bytes.Clone(segment[:tt.want]), make([]byte, size-tt.want)...)
			if err != nil || end != tt.want || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d bytes, want %d: %v", end, tt.want, err)
			}
		})
	}
}

// restlessStore does something when a part has been opened, or read from an offset on, for the first time. What
// is deleted meanwhile is gone at once, as in object storage.
type restlessStore struct {
	repo.Store
	from int64
	do   func()
}

type restlessReader struct {
	repo.ObjectReader
	reads func(end int64) error
}

func (s *restlessStore) Open(ctx context.Context, name string) (repo.ObjectReader, error) {
	o, err := s.Store.Open(ctx, name)
	if err != nil || !strings.Contains(name, "/parts/") {
		return o, err
	}
	r := restlessReader{o, func(end int64) error {
		if do := s.do; do != nil && end >= s.from {
			s.do = nil
			do()
		}
		_, err := s.Stat(ctx, name)
		return err
	}}
	return r, r.reads(0)
}

func (r restlessReader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.reads(off + int64(len(p))); err != nil {
		return 0, err
	}
	return r.ObjectReader.ReadAt(p, off)
}

// Parts that are replaced, or completed, while they are read: what comes out is right, or they are not there.
func TestPartsReplaced(t *testing.T) {
	const size, frames = 4 << 20, 3 << 20
	segment := make([]byte, size)
	for i := range segment {
		segment[i] = byte(i >> 14)
	}
	for _, tt := range []struct {
		name string
		from int64 // of the first part's object
		with []repo.Part
		want int64
	}{
		{"when opened", 0, []repo.Part{{Segment: partial, End: frames + 9}}, frames + 9},
		{"at its beginning", 1, []repo.Part{{Segment: partial, End: frames + 9}}, frames + 9},
		{"in its middle", 2 << 20, []repo.Part{{Segment: partial, End: frames + 9}}, frames + 9},
		{"in the middle, by the same in two", 2 << 20, []repo.Part{
			{Segment: partial, End: 1 << 20}, {Segment: partial, Begin: 1 << 20, End: frames},
		}, frames},
		{"removed", 2 << 20, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			st := &restlessStore{Store: storetest.NewMemory(), from: tt.from}
			a := newTestCluster(t, st).WAL(repo.Compression{})
			put := func(p repo.Part) {
				must(t, a.PutPart(ctx, p, bytes.NewReader(segment[p.Begin:p.End])))
			}
			old := []repo.Part{{Segment: partial, End: frames - 5}, {Segment: partial, Begin: frames - 5, End: frames}}
			put(old[0])
			put(old[1])
			st.do = func() {
				for _, p := range tt.with {
					put(p)
				}
				must(t, a.RemoveParts(ctx, old...))
			}
			var got bytes.Buffer
			end, err := a.CopyPartial(ctx, partial, size, &got)
			if st.do != nil {
				t.Fatal("nothing happened")
			}
			if tt.want == 0 {
				if !errors.Is(err, repo.ErrNotFound) {
					t.Errorf("%d, %v", end, err)
				}
				return
			}
			want := append(bytes.Clone(segment[:tt.want]), make([]byte, size-tt.want)...)
			if err != nil || end != tt.want || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d bytes, want %d: %v", end, tt.want, err)
			}
		})
	}
}

// Parts are listed by timeline, removed one by one, and no segment of the archive.
func TestPartsListed(t *testing.T) {
	c := newTestCluster(t, newTestStore(t))
	a := c.WAL(repo.Compression{})
	parts := []repo.Part{
		{Segment: partial, Begin: 0, End: 3},
		{Segment: partial, Begin: 3, End: 6},
		{Segment: "000000010000000000000008", Begin: 0, End: 3},
	}
	for _, p := range append(parts, repo.Part{Segment: "000000020000000000000007", Begin: 0, End: 3}) {
		must(t, a.PutPart(t.Context(), p, bytes.NewReader([]byte("abc"))))
	}
	got, err := a.Parts(t.Context(), 1)
	if err != nil || !cmp.Equal(got, parts) {
		t.Errorf("%v, %v", got, err)
	}
	must(t, a.RemoveParts(t.Context(), parts[1], parts[2], repo.Part{Segment: partial, Begin: 9, End: 10}))
	if got, err = a.Parts(t.Context(), 1); err != nil || !cmp.Equal(got, parts[:1]) {
		t.Errorf("%v, %v", got, err)
	}
	if names, err := a.List(t.Context(), 1, ""); err != nil || len(names) > 0 {
		t.Errorf("in the archive: %v, %v", names, err)
	}
	for _, p := range []repo.Part{
		{Segment: partial, Begin: 3, End: 3},
		{Segment: partial, Begin: 4, End: 3},
		{Segment: partial + ".partial", End: 3},
		{Segment: "../../x", End: 3},
		{End: 3},
	} {
		if err := a.PutPart(t.Context(), p, bytes.NewReader([]byte("abc"))); err == nil {
			t.Errorf("%v was stored", p)
		}
	}
	if err := a.PutPart(t.Context(), repo.Part{Segment: partial, End: 9}, bytes.NewReader([]byte("abc"))); err == nil {
		t.Error("a part that is shorter than its name says was stored")
	}
	if got, err = a.Parts(t.Context(), 1); err != nil || !cmp.Equal(got, parts[:1]) {
		t.Errorf("%v, %v", got, err)
	}
}

// Every byte of a part is covered by a checksum, and one part does not pass for another.
func TestFlippedPart(t *testing.T) {
	st := newTestStore(t)
	c := newTestCluster(t, st)
	a := c.WAL(repo.Compression{})
	data := bytes.Repeat([]byte("ab"), 100)
	must(t, a.PutPart(t.Context(), repo.Part{Segment: partial, End: 200}, bytes.NewReader(data)))
	files, err := filepath.Glob(filepath.Join(st.String(), "*", "parts", "00000001", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	object, err := os.ReadFile(files[0])
	must(t, err)
	for i := range object {
		damaged := bytes.Clone(object)
		damaged[i] ^= 1
		must(t, os.WriteFile(files[0], damaged, 0o600))
		if end, err := a.CopyPartial(t.Context(), partial, 1<<20, io.Discard); err == nil {
			t.Fatalf("byte %d of %d flipped: %d bytes came out", i, len(object), end)
		}
	}
	must(t, os.WriteFile(files[0], object, 0o600))
	moved := filepath.Join(filepath.Dir(files[0]), partial+".00000000-000000C9")
	must(t, os.Rename(files[0], moved))
	if _, err := a.CopyPartial(t.Context(), partial, 1<<20, io.Discard); err == nil || errors.Is(err, repo.ErrNotFound) {
		t.Errorf("under the name of another part: %v", err)
	}
}
