package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shell is a bash whose commands run on a terminal of their own, as an operator's do.
type shell struct {
	t      testing.TB
	cmd    *exec.Cmd
	script *os.File // bash reads commands from its other end
	screen *os.File // what they print, and what they are typed
}

// newShell starts bash with the environment, user and directory of a prepared command. end ends it.
func newShell(t testing.TB, cmd *exec.Cmd) *shell {
	t.Helper()
	screen, keyboard, err := openTerminal()
	if err != nil {
		t.Fatalf("a terminal: %v", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	const script = 3 // the descriptor of the first of ExtraFiles
	cmd.ExtraFiles = []*os.File{read}
	cmd.Args = append(cmd.Args, "--norc", fmt.Sprintf("/dev/fd/%d", script))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = keyboard, keyboard, keyboard
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if who := cmd.SysProcAttr.Credential; who != nil { // bash opens both by name
		err := errors.Join(read.Chown(int(who.Uid), int(who.Gid)), keyboard.Chown(int(who.Uid), int(who.Gid)))
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = read.Close()
	_ = keyboard.Close()
	return &shell{t: t, cmd: cmd, script: write, screen: screen}
}

// openTerminal gives both sides of a terminal that echoes nothing and is wide enough for every line.
func openTerminal() (screen, keyboard *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	screen = os.NewFile(uintptr(fd), "/dev/ptmx") // not blocking, so that reads can have deadlines
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		keyboard, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, screen.Close())
	}
	mode, err := unix.IoctlGetTermios(int(keyboard.Fd()), unix.TCGETS)
	if err == nil {
		mode.Lflag &^= unix.ECHO
		mode.Oflag &^= unix.OPOST
		err = unix.IoctlSetTermios(int(keyboard.Fd()), unix.TCSETS, mode)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(keyboard.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 1000, Col: 1000})
	}
	if err != nil {
		err = errors.Join(err, screen.Close(), keyboard.Close())
	}
	return screen, keyboard, err
}

// commandTime is how long one command of a document may take.
const commandTime = 2 * time.Minute

// run runs a command, of several lines perhaps, and gives what it printed and its exit code.
func (s *shell) run(command string) (output string, code int) {
	s.t.Helper()
	// The code stays what $? says.
	line := command + "\n" + `pgincr_code=$?; printf '\001%d\001' $pgincr_code; (exit $pgincr_code)` + "\n"
	if _, err := s.script.WriteString(line); err != nil {
		s.t.Fatalf("%s: %v", command, err)
	}
	if err := s.screen.SetReadDeadline(time.Now().Add(commandTime)); err != nil {
		s.t.Fatal(err)
	}
	ended := regexp.MustCompile("\x01(\\d+)\x01")
	var printed strings.Builder
	buf := make([]byte, 32<<10)
	for {
		n, err := s.screen.Read(buf)
		printed.Write(buf[:n])
		if m := ended.FindStringSubmatchIndex(printed.String()); m != nil {
			code, err := strconv.Atoi(printed.String()[m[2]:m[3]])
			if err != nil {
				s.t.Fatal(err)
			}
			return printed.String()[:m[0]], code
		}
		if err != nil {
			s.t.Fatalf("%s: %v, after:\n%s", command, err, printed.String())
		}
	}
}

// end ends the shell and what it runs in the foreground and background.
func (s *shell) end() {
	_ = s.script.Close()
	_ = s.screen.Close() // which hangs up
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
	_ = s.cmd.Wait() // its last command's code
}
