//go:build !linux

package storagetest

import "os/exec"

// dieWithParent has no equivalent here.
func dieWithParent(*exec.Cmd) {}
