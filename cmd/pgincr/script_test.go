package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pgincr/pgincr/pkg/pg"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pgincr": main, "crashing": crashing})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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
	code, said := whileReading(t, "crashing", "archive-get -R . 00000002.history x", func(_ int, stdin, _ io.Closer) {
		must(t, stdin.Close())
	})
	if code <= 125 || !strings.Contains(said, "as if by mistake") {
		t.Errorf("exit %d\n%s", code, said)
	}
}

// crashing is the program until its standard input ends.
func crashing() {
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		panic(errors.Join(errors.New("as if by mistake"), err))
	}()
	main()
}

// An immediate stop of the server sends SIGQUIT to what it runs. It ends the command in good order: Go's answer
// would be a crash, of which the server's log is full.
func TestArchiveQuit(t *testing.T) {
	for arguments, want := range map[string]int{
		"archive-get -R . 00000002.history x": 200,
		"archive-push -R . 00000002.history":  1,
	} {
		code, said := whileReading(t, "pgincr", arguments, func(pid int, _, config io.Closer) {
			must(t, errors.Join(syscall.Kill(pid, syscall.SIGQUIT), config.Close()))
		})
		if code != want || strings.Contains(said, "goroutine") {
			t.Errorf("%s: exit %d, want %d\n%s", arguments, code, want, said)
		}
	}
}

// whileReading runs a program by a shell, as the server does, calls do while it reads its configuration, and gives
// its exit code and what it said.
func whileReading(
	t *testing.T, program, arguments string, do func(pid int, stdin, config io.Closer),
) (code int, said string) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	fifo := filepath.Join(dir, "config") // who reads it waits for somebody who writes
	must(t, syscall.Mkfifo(fifo, 0o600))
	program = filepath.Join(dir, program) // by its name the test binary knows what to be
	must(t, os.Symlink(self, program))
	var stderr bytes.Buffer
	c := exec.Command("sh", "-c", shellQuote(program)+" --config config "+arguments+"; exit $?")
	c.Dir, c.Stderr = dir, &stderr
	stdin, err := c.StdinPipe()
	must(t, err)
	must(t, c.Start())
	var config *os.File
	for deadline := time.Now().Add(time.Minute); config == nil; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the program never read its configuration")
		}
		// This opens nothing as long as nobody reads.
		config, _ = os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	}
	defer config.Close()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", c.Process.Pid))
	must(t, err)
	pid := 0
	_, err = fmt.Sscan(string(children), &pid)
	must(t, err)
	do(pid, stdin, config)
	_ = c.Wait() // its exit code tells
	return c.ProcessState.ExitCode(), stderr.String()
}
