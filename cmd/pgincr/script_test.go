package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pgincr/pgincr/pkg/pg"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pgincr": main})
}

// The scripts of testdata/script say what users see: exit codes, messages, help.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
		},
		Setup: setupScript,
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("unknown condition %s", cond)
			}
			return os.Geteuid() == 0, nil
		},
	})
}

// setupScript gives every script two data directories, data15 and data17, of different clusters, which have nothing
// but their identity, and WAL segments: wal/own of data15's cluster, wal/foreign of data17's.
func setupScript(env *testscript.Env) error {
	for major, dir := range map[string]string{"15": "own", "17": "foreign"} {
		control, err := os.ReadFile(filepath.Join("..", "..", "pkg", "pg", "testdata", "pg_control."+major))
		if err != nil {
			return err
		}
		control = append(control, make([]byte, pg.ControlFileSize-len(control))...)
		segment := make([]byte, 16<<20)
		binary.LittleEndian.PutUint16(segment, 0xD110) // XLOG_PAGE_MAGIC of 15
		segment[2] = 2                                 // XLP_LONG_HEADER
		segment[4] = 1                                 // timeline
		binary.LittleEndian.PutUint64(segment[8:], 1<<24)
		copy(segment[24:32], control) // the system identifier
		binary.LittleEndian.PutUint32(segment[32:], 16<<20)
		binary.LittleEndian.PutUint32(segment[36:], 8192)
		for name, content := range map[string][]byte{
			"data" + major + "/global/pg_control":      control,
			"data" + major + "/PG_VERSION":             []byte(major + "\n"),
			"wal/" + dir + "/000000010000000000000001": segment,
		} {
			name = filepath.Join(env.WorkDir, name)
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(name, content, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// exits runs a program and wants this exit code: exits 2 pgincr list
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENTS]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = err.Error()
		if n, ok := exitStatus(err); ok {
			code = n
		}
	}
	if code != args[0] {
		ts.Fatalf("exit %s, want %s", code, args[0])
	}
}

// A crash of the program must not look like the end of WAL: Go's own exit code for
// it is 2, which ends archive recovery. Seen from the shell that PostgreSQL uses, it is above 125.
func TestArchiveGetCrash(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "main"), 0o700); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "main", "cluster.json") // opening it waits for somebody who writes
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "pgincr") // by its name the test binary knows what to be
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sh", "-c", shellQuote(program)+" archive-get -R "+shellQuote(dir)+" 00000002.history x; exit $?")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Dir = dir
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	// Opening for writing without waiting works as soon as the program waits for it. Its process is looked up
	// before that: from then on it may end at any moment.
	deadline := time.Now().Add(time.Minute)
	pid := 0
	for {
		if time.Now().After(deadline) {
			t.Fatal("the program never opened the repository")
		}
		if pid == 0 {
			children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", c.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Sscan(string(children), &pid) // none yet
		}
		if pid == 0 {
			continue
		}
		f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			defer f.Close()
			break
		}
		runtime.Gosched()
	}
	// The Go runtime takes this for a reason to crash; sh does not die of it while it waits.
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
	if err := c.Wait(); c.ProcessState.ExitCode() <= 125 {
		t.Errorf("exit %d: %v", c.ProcessState.ExitCode(), err)
	}
}
