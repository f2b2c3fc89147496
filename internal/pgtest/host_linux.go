package pgtest

import "syscall"

// enoughMemory is how much must be free in memory for tests to live there.
const enoughMemory = 4 << 30 // bytes

// memoryDir returns a directory in memory, if there is one with room that lets
// programs run.
func memoryDir() (string, bool) {
	const (
		dir    = "/dev/shm"
		noexec = 8 // ST_NOEXEC, statfs(2)
	)
	var fs syscall.Statfs_t
	err := syscall.Statfs(dir, &fs)
	return dir, err == nil && fs.Flags&noexec == 0 && fs.Bavail >= uint64(enoughMemory/fs.Bsize)
}

// dieWithParent shuts the server down when the test dies without cleaning up,
// as it does when it runs into its time limit.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
