package drill

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pgincr/pgincr/internal/durable"
)

// lockName is a file in every directory of a drill, locked while the drill lives: where it is there and not
// locked, the drill was killed. What is left for somebody (Options.Keep) has none.
const lockName = "drill.lock"

// madeByDrill is the end of the lock's content where the directory goes with the drill.
const madeByDrill = " made"

// lockPlace marks a directory as that of a drill which lives.
func lockPlace(dir string, made bool) (*durable.Lock, error) {
	content := strconv.Itoa(os.Getpid())
	if made {
		content += madeByDrill
	}
	l, _, err := durable.TryLock(filepath.Join(dir, lockName), 0o600, content)
	if err == nil && l == nil {
		err = &ScratchError{Dir: dir, Found: lockName}
	}
	return l, err
}

// removeLeftovers removes what killed drills of this user have left among the temporary files, their servers, too.
// It is no matter of this drill if that fails.
func removeLeftovers(log *slog.Logger) {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), tempDirPattern+"*"))
	if err != nil {
		log.Warn("looking for what killed drills have left", "error", err)
	}
	for _, dir := range found {
		_, err := removeLeftover(dir, log)
		var foreign *ScratchError
		if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.As(err, &foreign) { // another user's
			log.Warn("what a killed drill has left is still there", "directory", dir, "error", err)
		}
	}
}

// removeLeftover removes what a killed drill has left in dir; false where none has. It touches nothing in a
// directory in which there is something else as well, or somebody else could have put something.
func removeLeftover(dir string, log *slog.Logger) (removed bool, err error) {
	if own, err := ownDir(dir); err != nil || !own {
		return false, err
	}
	l, content, err := durable.TakeDeadLock(filepath.Join(dir, lockName))
	if err != nil || l == nil {
		return false, err
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		return false, errors.Join(err, l.Release())
	}
	for _, f := range found {
		if !ofDrill(f.Name()) {
			return false, errors.Join(&ScratchError{Dir: dir, Found: f.Name()}, l.Release())
		}
	}
	if err := stopLeft(dir); err != nil {
		return false, errors.Join(err, l.Release())
	}
	if err := empty(dir, l, strings.HasSuffix(content, madeByDrill)); err != nil {
		return false, err
	}
	log.Warn("removed what a killed drill had left", "directory", dir)
	return true, nil
}

// ownDir says whether path is a directory, and no link to one, in which only this user can make files.
func ownDir(path string) (bool, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return info.IsDir() && info.Mode().Perm()&0o022 == 0 && ok && int(st.Uid) == os.Geteuid(), nil
}

// ofDrill says whether drills make a file of this name.
func ofDrill(name string) bool {
	names := []string{dataName, spacesName, configName, accessName, identName, logName, lockName}
	return slices.Contains(names, name) || strings.HasPrefix(name, ".s.PGSQL.")
}

// empty removes what is in a drill's directory, the lock last, and the directory if it goes with it. What
// cannot be removed keeps the lock's file beside it, for the next drill.
func empty(dir string, l *durable.Lock, made bool) error {
	found, err := os.ReadDir(dir)
	if err != nil {
		return errors.Join(err, l.Release())
	}
	var errs []error
	for _, f := range found {
		if f.Name() != lockName {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, f.Name())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(err, l.Release())
	}
	if err := l.Unlock(); err != nil || !made {
		return err
	}
	return os.Remove(dir)
}

// stopLeft ends the server that a killed drill has left on its data directory, and all that works there. What
// has a terminal is people's, who look around: the server has taken its processes from every one, but for itself.
func stopLeft(dir string) error {
	data := filepath.Join(dir, dataName)
	if own, err := ownDir(data); err != nil || !own { // behind a link is nothing of a drill's
		return err
	}
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	first, _, _ := strings.Cut(string(b), "\n")
	postmaster, _ := strconv.Atoi(strings.TrimSpace(first)) // 0, where it is no number, is nobody's
	isPeoples := func(pid int) bool { return pid != postmaster && atTerminal(pid) }
	left := slices.DeleteFunc(workersIn(data), isPeoples)
	if slices.Contains(left, postmaster) {
		if err := syscall.Kill(postmaster, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stopping process %d: %w", postmaster, err)
		}
	}
	for waited := time.Duration(0); len(left) > 0; waited += pollEvery {
		switch {
		case waited >= 2*stopTime:
			return fmt.Errorf("%s: processes %v work there and do not end", data, left)
		case waited >= stopTime:
			for _, pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL) // whether that helped is seen below
			}
		}
		time.Sleep(pollEvery) //nolint:forbidigo // for processes that are nobody's children any more
		left = slices.DeleteFunc(workersIn(data), isPeoples)
	}
	return nil
}

// workersIn lists the processes whose working directory is dir: a server's, and the commands that it runs.
func workersIn(dir string) (pids []int) {
	own, err := os.Stat(dir)
	if err != nil {
		return nil
	}
	found, _ := filepath.Glob("/proc/[0-9]*/cwd") // the pattern is good
	for _, link := range found {
		if at, err := os.Stat(link); err == nil && os.SameFile(at, own) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(link)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// atTerminal says whether a process has a terminal (tty_nr, proc_pid_stat(5)).
func atTerminal(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// Its name, in parentheses, may have spaces and parentheses.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	const terminal = 4 // after state, parent, group and session
	return len(fields) > terminal && fields[terminal] != "0"
}
