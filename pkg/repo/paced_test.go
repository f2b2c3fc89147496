package repo_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// A paced store takes what is written no faster than the limit, whole, and a wait ends with its context.
func TestPaced(t *testing.T) {
	const size, rate = 1 << 20, 8 << 20
	st := &repo.Paced{Store: storetest.NewMemory(), Limit: pace.New(rate, time.Now)}
	content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	begun := time.Now()
	must(t, put(t.Context(), st, "a/b", content))
	if took := time.Since(begun); took < (size-(64<<10))*time.Second/rate {
		t.Errorf("%d bytes in %v", size, took)
	}
	if n, err := st.Stat(t.Context(), "a/b"); err != nil || n != size {
		t.Errorf("%d bytes, %v", n, err)
	}
	planted := errors.New("planted")
	ctx, cancel := context.WithCancelCause(t.Context())
	slow := &repo.Paced{Store: st.Store, Limit: pace.New(1, time.Now)}
	time.AfterFunc(time.Millisecond, func() { cancel(planted) })
	if err := put(ctx, slow, "a/c", content); !errors.Is(err, planted) {
		t.Errorf("cancelled: %v", err)
	}
}

func put(ctx context.Context, st repo.Store, name string, content []byte) error {
	w, err := st.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit(ctx)
}

// boundStore takes nothing for an object after the context of its Create has ended, as stores on a network do.
type boundStore struct{ repo.Store }

type boundWriter struct {
	repo.ObjectWriter

	ctx context.Context
}

func (s boundStore) Create(ctx context.Context, name string) (repo.ObjectWriter, error) {
	w, err := s.Store.Create(ctx, name)
	return boundWriter{w, ctx}, err
}

func (w boundWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.ObjectWriter.Write(p)
}

// The index is written by a copy whose context has ended when the backup is committed.
func TestCommitAfterCopy(t *testing.T) {
	c := newTestCluster(t, boundStore{storetest.NewMemory()})
	const id = "20261101T000000Z-F"
	b, err := c.CreateBackup(t.Context(), id, repo.Compression{})
	must(t, err)
	copying, cancel := context.WithCancel(t.Context())
	must(t, b.AppendFile(copying, &repo.File{Path: "base", Kind: repo.KindDir}))
	cancel()
	must(t, b.PutControl(t.Context(), make([]byte, pg.ControlFileSize)))
	must(t, b.Commit(t.Context(), testManifest(id, "", 0x2000028)))
}
