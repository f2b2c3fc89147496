package restore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/pgincr/pgincr/pkg/repo"
)

// A segment that was received in parts when the restore was planned is read whole where the receiver has completed it
// meanwhile: before it is opened, or while it is read.
func TestPartialBecomesWhole(t *testing.T) {
	const name = "000000010000000000000003"
	g := fabGeometry()
	content := bytes.Repeat([]byte("WAL of 16 bytes "), int(g.WALSegmentSize/16))
	archive := newFab(t, nil).cluster.WAL(repo.Compression{})
	r := &reach{partial: name}
	read := func() ([]byte, error) {
		f, err := r.opener(archive.Open, archive, g)(t.Context(), name)
		must(t, err)
		got, err := io.ReadAll(f)
		return got, errors.Join(err, f.Close())
	}
	if got, err := read(); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("%d bytes of a segment that is nowhere: %v", len(got), err)
	}
	must(t, archive.Put(t.Context(), name, bytes.NewReader(content)))
	if got, err := read(); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes: %v", len(got), err)
	}
	for title, tt := range map[string]struct {
		begin []byte
		want  error
	}{
		"while it is read": {content[:1000], nil},
		"another segment":  {content[1:1000], repo.ErrCorrupt},
	} {
		t.Run(title, func(t *testing.T) {
			var got bytes.Buffer
			read := &countedSum{w: &got}
			_, err := read.Write(tt.begin)
			must(t, err)
			open := func(context.Context, string) (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(content)), nil
			}
			err = goOn(t.Context(), open, name, read)
			if !errors.Is(err, tt.want) || tt.want == nil && !bytes.Equal(got.Bytes(), content) {
				t.Errorf("%d bytes, %v, want %v", got.Len(), err, tt.want)
			}
		})
	}
}
