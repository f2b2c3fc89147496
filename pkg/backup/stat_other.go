//go:build !linux

package backup

import "os"

// statPath looks at name; with follow it looks at what a link leads to. Identities are not
// known here, so no file is ever taken for the parent's by its times.
func statPath(name string, follow bool) (stat, error) {
	look := os.Lstat
	if follow {
		look = os.Stat
	}
	info, err := look(name)
	if err != nil {
		return stat{}, err
	}
	return stat{
		kind: info.Mode().Type(), mode: uint32(info.Mode().Perm()),
		uid: uint32(os.Getuid()), gid: uint32(os.Getgid()),
		size: info.Size(), mtime: info.ModTime(),
	}, nil
}
