package restore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/repo"
)

// TestMain lets this program be the restore that TestKilled kills.
func TestMain(m *testing.M) {
	if order := os.Getenv("PGINCR_TEST_RESTORE"); order != "" {
		if err := restoreInProcess(strings.Split(order, "\n")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// restoreInProcess obeys an order of repository, backup, target and tablespace.
func restoreInProcess(order []string) error {
	ctx := context.Background()
	st, err := repo.OpenStore(ctx, order[0])
	if err != nil {
		return err
	}
	c, err := repo.OpenCluster(ctx, st, "main")
	if err != nil {
		return err
	}
	m, err := c.Backup(ctx, order[1])
	if err != nil {
		return err
	}
	_, err = Run(ctx, c, m, Options{Target: order[2], Jobs: 2, Delta: true, TablespaceRoot: order[3], partSize: 64 << 10})
	return err
}

// Killed at any moment, a restore leaves a directory that has no pg_control or is complete, and the same
// command run again completes it.
func TestKilled(t *testing.T) {
	fb := newFab(t, nil)
	fb.frame = func() int { return 8 }
	var manifests []*repo.Manifest
	var models []model
	seed := uint64(0)
	for i := range 3 {
		m := model{"PG_VERSION": {mode: 0o600, mtime: time.Unix(1, 0).UTC(), data: []byte("15\n")}}
		for j := range 40 {
			f := &modelFile{mode: 0o600, mtime: time.Unix(int64(i), 0).UTC()}
			for range 50 {
				seed++
				f.pages = append(f.pages, seed%uint64(97+i))
			}
			dir := "base/1"
			if j%4 == 0 {
				dir = fabSpace + "/1"
			}
			m[fmt.Sprintf("%s/%d", dir, 17000+j+i)] = f
		}
		manifests, models = append(manifests, fb.add(m)), append(models, m)
	}
	dir := filepath.Join(pgtest.TempDir(t), "data")
	order := func(i int) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		root := strings.TrimPrefix(fb.store.String(), "file://")
		cmd.Env = append(os.Environ(), "PGINCR_TEST_RESTORE="+strings.Join([]string{
			root, manifests[i].ID, dir,
			dir + "-spaces",
		}, "\n"))
		return cmd
	}
	begin := time.Now()
	if out, err := order(0).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	whole := time.Since(begin)
	killed, last := 0, 0 // the state that was complete last
	for round := range 100 {
		i := round % 3
		cmd := order(i)
		must(t, cmd.Start())
		timer := time.AfterFunc(time.Duration(rand.Int64N(int64(whole))), func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		var exit *exec.ExitError
		switch {
		case err == nil:
			must(t, fb.compare(dir, models[i]))
			last = i
			continue
		case !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL:
			t.Fatalf("round %d: %v", round, err)
		}
		killed++
		if _, err := os.Stat(filepath.Join(dir, controlPath)); err == nil {
			// Not begun yet, or finished already: one of the two states.
			if fb.compare(dir, models[i]) == nil {
				last = i
			} else if err := fb.compare(dir, models[last]); err != nil {
				t.Fatalf("round %d: pg_control stands in half a restore: %v", round, err)
			}
		}
		if round%2 == 0 {
			continue // the next round runs over what this one has left
		}
		if out, err := order(i).CombinedOutput(); err != nil {
			t.Fatalf("round %d, run again: %v: %s", round, err, out)
		}
		must(t, fb.compare(dir, models[i]))
		last = i
	}
	if killed < 20 {
		t.Errorf("only %d of 100 were killed on their way", killed)
	}
}
