package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// becomeServerUser turns root into the user that PostgreSQL will run as, for the rest of this process: the owner of
// dir, if that is there and not root's, or the one named. dir, if it is to be made or empty, becomes the user's.
// Whatever recovery needs, this program, the repository and keys, is then read as that user from the beginning.
func becomeServerUser(name, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, groups, err := serverUser(name, dir)
	if err != nil {
		return fmt.Errorf("PostgreSQL refuses to run as root: %w", err)
	}
	if err := giveDirectory(dir, uid, gid); err != nil {
		return err
	}
	if err := errors.Join(syscall.Setgroups(groups), syscall.Setgid(gid)); err != nil {
		return fmt.Errorf("becoming user %d: %w", uid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("becoming user %d: %w", uid, err)
	}
	return verifyReachable(uid)
}

// serverUser finds the user's numbers.
func serverUser(name, dir string) (uid, gid int, groups []int, err error) {
	var u *user.User
	if st, serr := os.Stat(dir); dir != "" && serr == nil {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 {
			u, err = user.LookupId(strconv.FormatUint(uint64(sys.Uid), 10))
		}
	}
	if u == nil && err == nil {
		u, err = user.Lookup(name)
	}
	if err != nil {
		return 0, 0, nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return 0, 0, nil, err
	}
	for _, id := range ids {
		n, err := strconv.Atoi(id)
		if err != nil {
			return 0, 0, nil, err
		}
		groups = append(groups, n)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, nil, err
	}
	if uid == 0 {
		return 0, 0, nil, fmt.Errorf("user %s is root, too", u.Username)
	}
	return uid, gid, groups, nil
}

// giveDirectory makes dir, or takes an empty one of root's, and gives it to the user.
func giveDirectory(dir string, uid, gid int) error {
	if dir == "" {
		return nil
	}
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		found, err := os.ReadDir(dir)
		if err != nil || len(found) > 0 {
			return err // who writes there will say that it is not empty
		}
	} else if err != nil {
		return err
	}
	return os.Chown(dir, uid, gid)
}

// verifyReachable proves that the user can run this program, which fetches WAL during recovery.
func verifyReachable(uid int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	f, err := os.Open(self)
	if err != nil {
		return fmt.Errorf("user %d cannot run this program, which recovery needs: %w", uid, err)
	}
	return f.Close()
}
