package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	pollEvery = 20 * time.Millisecond // between two looks at postmaster.pid
	stopTime  = time.Minute           // for the server to stop, and for its children to end
)

// server is a running postmaster with its children.
type server struct {
	cmd     *exec.Cmd
	s       *scratch
	started time.Time
	exited  chan struct{} // closed when the postmaster has ended
	// family reads a pipe whose other end the postmaster and all that it started hold, commands
	// that fetch WAL included: at its end all are gone.
	family *os.File
}

// start starts the server. It is not bound to a context: stop ends it.
func start(s *scratch, o *Options) (*server, error) {
	out, err := os.OpenFile(s.path(logName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() //nolint:errcheck // the server has its own; nothing is written here
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close() //nolint:errcheck // likewise
	//nolint:gosec,noctx // the program is the caller's choice
	cmd := exec.Command(o.program("postgres"), "-D", s.data(), "-c", "config_file="+s.path(configName),
		"-c", "hba_file="+s.path(accessName), "-c", "ident_file="+s.path(identName))
	cmd.Env = append(o.Environment[:len(o.Environment):len(o.Environment)], "LC_ALL=C")
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{write}
	// A group of its own: an interrupt at the terminal is for this process, which then stops the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	v := &server{cmd: cmd, s: s, started: o.Clock(), exited: make(chan struct{}), family: read}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, read.Close())
	}
	go func() {
		_ = cmd.Wait() // why it ended is in its log
		close(v.exited)
	}()
	return v, nil
}

// String is the command line, for people who want to start it again.
func (v *server) String() string { return strings.Join(v.cmd.Args, " ") }

// awaitReady waits until the server has recovered and takes connections.
func (v *server) awaitReady(ctx context.Context, timeout time.Duration) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var late <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		late = t.C
	}
	for !v.ready() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late:
			return &RecoveryError{Reason: fmt.Sprintf("not done after %s", timeout), Log: v.s.logTail(), Late: true}
		case <-v.exited:
			return &RecoveryError{Reason: "the server gave up", Log: v.s.logTail()}
		case <-tick.C:
		}
	}
	return nil
}

// ready says whether the server takes connections, by the status line of postmaster.pid
// (LOCK_FILE_LINE_PM_STATUS, utils/pidfile.h), as pg_ctl does.
func (v *server) ready() bool {
	content, err := os.ReadFile(filepath.Join(v.s.data(), "postmaster.pid"))
	if err != nil {
		return false // not written yet
	}
	lines := strings.Split(string(content), "\n")
	const statusLine = 8
	return len(lines) >= statusLine && lines[0] == strconv.Itoa(v.cmd.Process.Pid) &&
		strings.TrimSpace(lines[statusLine-1]) == "ready"
}

// stop ends the server and waits until all that it started is gone. Without care it does not
// bring its files in order.
func (v *server) stop(care bool) error {
	signal := syscall.SIGQUIT
	if care {
		signal = syscall.SIGINT
	}
	if err := v.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("drill: stopping the server, process %d: %w", v.cmd.Process.Pid, err)
	}
	t := time.NewTimer(stopTime)
	defer t.Stop()
	select {
	case <-v.exited:
	case <-t.C:
		if err := v.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("drill: killing the server, process %d: %w", v.cmd.Process.Pid, err)
		}
		<-v.exited
	}
	defer v.family.Close() //nolint:errcheck // it was only read
	if err := v.family.SetReadDeadline(v.deadline(stopTime)); err != nil {
		return err
	}
	_, err := v.family.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("drill: what the server started still runs after %s; left as it is: %s", stopTime, v.s.dir)
	}
	return nil
}

// deadline is a moment for the operating system, whose clock no caller can replace.
func (*server) deadline(after time.Duration) time.Time {
	return time.Now().Add(after) //nolint:forbidigo // see above
}

// RecoveryError: the server did not recover.
type RecoveryError struct {
	Reason string
	Log    string // the end of what the server said, in one line
	Late   bool   // there was no more time
}

func (e *RecoveryError) Error() string {
	text := "recovery: " + e.Reason
	if e.Log != "" {
		text += ": " + e.Log
	}
	return text
}
