package storagetest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience is how long a server may take to start.
const patience = time.Minute

// start runs a server until the test ends. It is ready when addr takes connections.
func start(t testing.TB, addr string, env []string, name string, args ...string) {
	t.Helper()
	// Not bound to the test's context, which ends before its cleanup.
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Env = append(cmd.Environ(), env...)
	out := new(logBuffer)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second // children of a server that was killed may hold on to them
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
		if t.Failed() {
			t.Logf("%s said:\n%s", name, out)
		}
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-exited:
			t.Fatalf("%s ended:\n%s", name, out)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready: %v\n%s", name, err, out)
		}
	}
}

// logBuffer keeps the last of what a server says.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps it.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() > 64<<10 {
		b.buf.Reset()
	}
	return b.buf.Write(p)
}

// String gives it.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// freePort gives a loopback address that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr())
}

// newRoot makes a directory for a server's data, in memory where there is some: it is for the protocol, not
// for the disk, that servers are here.
func newRoot(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if made, err := os.MkdirTemp("/dev/shm", "storagetest-"); err == nil {
		dir = made
		t.Cleanup(func() { os.RemoveAll(dir) })
	}
	return dir
}
