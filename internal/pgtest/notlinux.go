//go:build !linux

package pgtest

import "syscall"

// memoryDir finds one on Linux only.
func memoryDir() (string, bool) { return "", false }

// dieWithParent can be had on Linux only.
func dieWithParent(*syscall.SysProcAttr) {}
