package repo_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pace"
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
