package storetest

import (
	"errors"
	"strings"
	"sync"
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
			for turns.Load() < 40 {
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

// Locks gives those that are held, with their owners, and no others.
func heldLocks(t *testing.T, open func() repo.Store) {
	st, other := open(), open()
	names := func(prefix string) string {
		t.Helper()
		held, err := other.Locks(t.Context(), prefix, nil)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, l := range held {
			text = append(text, l.Name+"="+l.Owner)
		}
		return strings.Join(text, " ")
	}
	if got := names("main/locks/"); got != "" {
		t.Errorf("at the beginning: %s", got)
	}
	var unlock []func() error
	for _, name := range []string{"main/locks/b", "main/locks/a", "other/locks/a"} {
		u, err := st.Lock(t.Context(), name, "owner of "+name+"\n")
		if err != nil {
			t.Fatal(err)
		}
		unlock = append(unlock, u)
	}
	if got, want := names("main/locks/"), "a=owner of main/locks/a b=owner of main/locks/b"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	one, err := other.Locks(t.Context(), "main/locks/", func(name string) bool { return name == "b" })
	if err != nil || len(one) != 1 || one[0].Name != "b" || !strings.HasPrefix(one[0].Owner, "owner of main/locks/b") {
		t.Errorf("wanted is b only: %v, %v", one, err)
	}
	if err := unlock[0](); err != nil {
		t.Fatal(err)
	}
	if got := names("main/locks/"); got != "a=owner of main/locks/a" {
		t.Errorf("after unlocking b: %s", got)
	}
	if err := errors.Join(unlock[1](), unlock[2]()); err != nil {
		t.Fatal(err)
	}
	if got := names(""); got != "" {
		t.Errorf("at the end: %s", got)
	}
}

// Who takes a lock and then looks at the locks sees all that were taken before: of two that look
// for each other's, at least one sees it.
func locksAreSeen(t *testing.T, open func() repo.Store) {
	for round := range 50 {
		var g errgroup.Group
		var seen atomic.Int64
		var looking sync.WaitGroup
		looking.Add(2)
		for _, names := range [][2]string{{"mine", "yours"}, {"yours", "mine"}} {
			st := open()
			g.Go(func() error {
				unlock, err := st.Lock(t.Context(), "main/locks/"+names[0], "")
				var held []repo.LockInfo
				if err == nil {
					held, err = st.Locks(t.Context(), "main/locks/", nil)
				}
				looking.Done()
				looking.Wait()
				if err != nil {
					return err
				}
				for _, l := range held {
					if l.Name == names[1] {
						seen.Add(1)
					}
				}
				return unlock()
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if seen.Load() == 0 {
			t.Fatalf("round %d: neither saw the other's lock", round)
		}
	}
}
