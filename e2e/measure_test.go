package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// cost is what a command took.
type cost struct {
	CPU    time.Duration
	Memory int64 // bytes, resident, at its peak
}

// measureVariable makes the test binary a process that runs its arguments as a command and prints the cost.
//
// The kernel counts what was resident before exec to the peak of a process, and a test's child begins as the test
// (setmax_mm_hiwater_rss in Linux's exec_mmap). A process that has only just begun is small.
const measureVariable = "PGINCR_TEST_MEASURE"

// measured runs the binary at two jobs and gives its cost.
func (s *site) measured(args ...string) cost {
	s.t.Helper()
	self, err := os.Executable()
	s.must(err)
	cmd := exec.CommandContext(s.t.Context(), self, append([]string{pgincr}, args...)...)
	cmd.Env = append(pgtest.Command(s.t.Context(), pgincr).Env, s.pg.Env()...)
	cmd.Env = append(cmd.Env, "PGINCR_REPO="+s.repo, "PGINCR_JOBS=2", measureVariable+"=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("pgincr %v: %v\n%.2000s", args, err, stderr.String())
	}
	return decode[cost](s.t, string(out))
}

// measure runs a command and prints its cost.
func measure(args []string) int {
	cmd := pgtest.Command(context.Background(), args[0], args[1:]...)
	cmd.Env = os.Environ()
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	err := json.NewEncoder(os.Stdout).Encode(cost{
		cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), usage.Maxrss << 10,
	})
	if err != nil {
		return 1
	}
	return 0
}
