package restore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// verifyEmpty refuses every directory of a restore that is not empty or missing.
func (l *layout) verifyEmpty() error {
	for _, p := range l.places() {
		if err := verifyEmptyDir(p.dir); err != nil {
			return err
		}
	}
	return nil
}

func verifyEmptyDir(dir string) error {
	st, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return verifyAbsent(dir)
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return &TargetError{Dir: dir, Problem: NotDirectory}
	}
	if err := verifyStopped(dir); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(1)
	if err = errors.Join(ignoreEOF(err), d.Close()); err != nil {
		return err
	}
	if len(names) > 0 {
		if _, err := os.Lstat(filepath.Join(dir, markerName)); err == nil {
			return &TargetError{Dir: dir, Problem: HalfRestored}
		}
		return &TargetError{Dir: dir, Problem: NotEmpty, Detail: names[0] + " is there"}
	}
	return nil
}

// verifyAbsent refuses a name that is a link to nothing.
func verifyAbsent(dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return &TargetError{Dir: dir, Problem: NotDirectory, Detail: "a link to nothing"}
	}
	return nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// maxPidFile bounds what is read of postmaster.pid.
const maxPidFile = 4096

// verifyStopped refuses a data directory on which a server runs. It trusts
// postmaster.pid as far as the process in it exists and works in this
// directory; where the process does not tell, it counts as the server.
func verifyStopped(dir string) error {
	f, err := os.Open(filepath.Join(dir, "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPidFile))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	first, _, _ := bytes.Cut(b, []byte("\n"))
	pid, err := strconv.Atoi(string(bytes.TrimSpace(first)))
	if err != nil || pid == 0 {
		return nil // not a server's: it writes its number before all else (CreateLockFile, miscinit.c)
	}
	if pid < 0 { // a single-user server writes its number so
		pid = -pid
	}
	if pid == 1 { // a container's, whose processes are seen from its inside alone; that number is always taken
		return &TargetError{
			Dir: dir, Problem: ServerRunning,
			Detail: "process 1 of a container in postmaster.pid; if that is stopped, remove the file",
		}
	}
	if !alive(pid) || worksElsewhere(pid, dir) {
		return nil
	}
	return &TargetError{Dir: dir, Problem: ServerRunning, Detail: fmt.Sprintf("process %d in postmaster.pid", pid)}
}

// alive says whether there is a process with this number.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// worksElsewhere says whether a process certainly has another working directory: a server's is
// its data directory, so the number has been taken by someone else.
func worksElsewhere(pid int, dir string) bool {
	cwd, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false
	}
	own, err := os.Stat(dir)
	return err == nil && !os.SameFile(cwd, own)
}
