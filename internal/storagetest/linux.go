package storagetest

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the server when the test dies without cleaning up.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
