package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// osUser is who runs servers and tools; its credential is nil when that is who
// runs the test.
type osUser struct {
	name, home string
	credential *syscall.Credential
}

func lookupUser() (osUser, error) {
	if os.Geteuid() != 0 {
		u, err := user.Current()
		if err != nil {
			return osUser{}, err
		}
		return osUser{name: u.Username, home: u.HomeDir}, nil
	}
	u, err := user.Lookup("postgres")
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return osUser{}, err
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return osUser{}, fmt.Errorf("user %s: %w", u.Username, err)
	}
	credential := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return osUser{name: u.Username, home: u.HomeDir, credential: credential}, nil
}

// Command prepares any program, the one under test above all, to run as the
// user that owns the clusters. It runs in the system's temporary directory and
// without PG* variables: add those of a cluster with Cluster.Env.
func Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = os.TempDir()
	u, err := lookupUser()
	if err != nil {
		cmd.Err = fmt.Errorf("the user to run %s as: %w", name, err)
		return cmd
	}
	for _, variable := range os.Environ() {
		key, _, _ := strings.Cut(variable, "=")
		switch {
		case strings.HasPrefix(key, "PG") && !strings.HasPrefix(key, "PGINCR"):
		case key == "HOME" || key == "USER" || key == "LOGNAME" || strings.HasPrefix(key, "LC_"):
		default:
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+u.home, "USER="+u.name, "LOGNAME="+u.name, "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: u.credential}
	return cmd
}

// TempDir returns a new directory that the clusters' user owns, with a path
// short enough for a Unix socket in it (107 bytes). It goes when the test ends.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(baseDir(), "pgtest-")
	if err != nil {
		t.Fatalf("temporary directory: %v", err)
	}
	t.Cleanup(func() {
		if os.Getenv("PGINCR_TEST_KEEP") != "" {
			t.Logf("kept %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("temporary directory: %v", err)
		}
	})
	Chown(t, dir)
	return dir
}

// baseDir is where directories of tests are made. A cluster has a thousand small
// files; in memory a test takes a fraction of the time.
func baseDir() string {
	if dir := os.Getenv("PGINCR_TEST_DIR"); dir != "" {
		return dir
	}
	if dir, ok := memoryDir(); ok {
		return dir
	}
	return os.TempDir()
}

// Chown gives a file or a whole directory that the test itself made to the
// clusters' user.
func Chown(t testing.TB, path string) {
	t.Helper()
	if err := chown(path); err != nil {
		t.Fatalf("giving %s to the clusters' user: %v", path, err)
	}
}

func chown(path string) error {
	u, err := lookupUser()
	if err != nil || u.credential == nil {
		return err
	}
	return filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(u.credential.Uid), int(u.credential.Gid))
	})
}

// runTool runs a program as the clusters' user and returns its output; an error
// holds all that it said.
func runTool(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := Command(ctx, name, args...)
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err,
			stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}
