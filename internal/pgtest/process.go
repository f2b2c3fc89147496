package pgtest

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
	// patience is how long a server may take to start, stop or catch up.
	patience = 2 * time.Minute
	// pollEvery is the pause between two looks at something awaited.
	pollEvery = 5 * time.Millisecond
)

// process is a running postmaster with its children.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the postmaster has been reaped
	// family reads a pipe whose other end the postmaster and all its children
	// hold, archive and restore commands included: at its end all are gone.
	family *os.File
}

// startProcess starts postgres with these arguments, its words appended to the
// file log.
func startProcess(install Install, log string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	// Not bound to a context: cleanup stops it, after the test's has ended.
	cmd := Command(context.Background(), filepath.Join(install.BinDir, "postgres"), args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{write}
	dieWithParent(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		read.Close()
		return nil, err
	}
	p := &process{cmd: cmd, exited: make(chan struct{}), family: read}
	go func() {
		// How it ended is in its log; that it ended is what counts here.
		_ = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// end sends a signal and waits until the postmaster and all its children are
// gone.
func (p *process) end(signal syscall.Signal) error {
	err := p.cmd.Process.Signal(signal)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		return fmt.Errorf("server still running %v after %v", patience, signal)
	}
	return p.waitFamily()
}

func (p *process) waitFamily() error {
	defer p.family.Close()
	if err := p.family.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := p.family.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("children of the server still running after %v", patience)
	}
	return nil
}

// ready tells whether the server takes connections, by the status line of
// postmaster.pid (pidfile.h), as pg_ctl does. A standby without hot_standby
// takes none, and is ready all the same.
func (p *process) ready(dataDir string) bool {
	content, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(content), "\n")
	if len(lines) < 8 || lines[0] != strconv.Itoa(p.cmd.Process.Pid) {
		return false
	}
	status := strings.TrimSpace(lines[7])
	return status == "ready" || status == "standby"
}

// waitReady waits until the server is ready, or has given up.
func (p *process) waitReady(dataDir string) error {
	deadline := time.Now().Add(patience)
	for !p.ready(dataDir) {
		if !p.running() {
			return errors.Join(errors.New("server exited"), p.waitFamily())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("server not ready after %v", patience)
		}
		time.Sleep(pollEvery)
	}
	return nil
}
