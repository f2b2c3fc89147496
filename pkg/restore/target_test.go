package restore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A directory that is in use or holds something is refused, each with its own problem.
func TestVerifyEmptyDir(t *testing.T) {
	base := t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }
	for _, err := range []error{
		os.Mkdir(at("empty"), 0o700),
		os.Mkdir(at("full"), 0o700), os.WriteFile(at("full/x"), nil, 0o600),
		os.Mkdir(at("half"), 0o700), os.WriteFile(at("half/"+markerName), nil, 0o600),
		os.WriteFile(at("file"), nil, 0o600),
		os.Symlink(at("nowhere"), at("dangling")),
		os.Symlink(at("empty"), at("link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]TargetProblem{
		"empty": 0, "missing": 0, "missing/deep": 0, "link": 0,
		"full": NotEmpty, "half": HalfRestored, "file": NotDirectory, "dangling": NotDirectory,
	} {
		err := verifyEmptyDir(at(name))
		var te *TargetError
		if errors.As(err, &te) != (want != 0) || te != nil && te.Problem != want {
			t.Errorf("%s: got %v, want problem %d", name, err, want)
		}
	}
}

// A server is taken for running when its process works in the directory, and not because some
// process has its old number.
func TestVerifyStopped(t *testing.T) {
	dir := t.TempDir()
	write := func(content string) {
		if err := os.WriteFile(filepath.Join(dir, "postmaster.pid"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func() bool {
		err := verifyStopped(dir)
		var te *TargetError
		if errors.As(err, &te) {
			return te.Problem == ServerRunning
		}
		if err != nil {
			t.Fatal(err)
		}
		return false
	}
	if refused() {
		t.Error("refused without postmaster.pid")
	}
	write("1\n/somewhere\n")
	if !refused() {
		t.Error("accepted for the first process of a container, which cannot be seen from here")
	}
	write(fmt.Sprintf("%d\n/somewhere\n", os.Getpid()))
	if refused() {
		t.Error("refused for a process that works elsewhere")
	}
	t.Chdir(dir)
	for _, content := range []string{fmt.Sprintf("%d\n%s\n", os.Getpid(), dir), fmt.Sprintf("-%d\n", os.Getpid())} {
		write(content)
		if !refused() {
			t.Errorf("%q: accepted for a process that works here", content)
		}
	}
	for _, content := range []string{"", "x\n", "4194305\n"} { // the last is above the largest pid
		write(content)
		if refused() {
			t.Errorf("%q: refused", content)
		}
	}
}

// Kernels are told apart by whether syncfs reports write errors.
func TestReportsErrors(t *testing.T) {
	for release, want := range map[string]bool{
		"6.1.0-18-amd64": true, "5.8.0": true, "5.10-rc1": true, "5.7.19": false, "4.18.0-553.el8": false, "x": false,
		"6.18.44-fc-v657": true, "7.0-rc2": true,
	} {
		if got := reportsErrors(release); got != want {
			t.Errorf("%s: got %v", release, got)
		}
	}
}
