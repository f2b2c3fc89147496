package storetest

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/repo"
)

// A lock is held by one at a time, whichever process or store asks; who is refused learns
// who has it.
func locks(t *testing.T, open func() repo.Store) {
	st, other := open(), open()
	unlock, err := st.Lock(t.Context(), "main/locks/backup", "pgincr backup, process 4711 on db1")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []repo.Store{st, other} {
		_, err := s.Lock(t.Context(), "main/locks/backup", "somebody else")
		if !errors.Is(err, repo.ErrLocked) {
			t.Fatalf("second lock: %v", err)
		}
		if !strings.Contains(err.Error(), "process 4711 on db1") {
			t.Errorf("the owner is not named: %v", err)
		}
	}
	free, err := other.Lock(t.Context(), "main/locks/expire", "somebody else")
	if err != nil {
		t.Fatalf("lock of another name: %v", err)
	}
	for range 2 {
		if err := unlock(); err != nil {
			t.Fatal(err)
		}
	}
	again, err := other.Lock(t.Context(), "main/locks/backup", "somebody else")
	if err != nil {
		t.Fatalf("lock after unlock: %v", err)
	}
	if err := errors.Join(again(), free()); err != nil {
		t.Fatal(err)
	}
}

// Of many that want a lock no two ever have it together.
func lockRace(t *testing.T, open func() repo.Store) {
	var holders, turns atomic.Int64
	var g errgroup.Group
	for range 8 {
		st := open()
		g.Go(func() error {
			for turns.Load() < 100 {
				unlock, err := st.Lock(t.Context(), "main/locks/race", "one of many")
				if errors.Is(err, repo.ErrLocked) {
					continue
				}
				if err != nil {
					return err
				}
				if holders.Add(1) != 1 {
					return errors.New("two hold the lock")
				}
				turns.Add(1)
				holders.Add(-1)
				if err := unlock(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}
