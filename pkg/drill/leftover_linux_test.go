package drill

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Who looks around in what a killed drill has left, at a terminal, is not killed with it.
func TestLeftoversLookedAt(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	log := slog.New(slog.DiscardHandler)
	s, err := newScratch("", log)
	must(t, err)
	must(t, os.Mkdir(s.data(), 0o700))
	must(t, s.lock.Release()) // as at its death

	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	must(t, err)
	defer master.Close()
	must(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	must(t, err)
	terminal, err := os.OpenFile(filepath.Join("/dev/pts", fmt.Sprint(n)), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), "sleep", "300")
	cmd.Dir, cmd.Stdin = s.data(), terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(t, cmd.Start())
	must(t, terminal.Close())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	removeLeftovers(log)
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", s.dir, err)
	}
	select {
	case err := <-ended:
		t.Errorf("who looked around was ended: %v", err)
	default:
		must(t, cmd.Process.Kill())
		<-ended
	}
}
