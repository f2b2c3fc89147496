package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// forever is how long the kernel may believe what it was told: nothing changes.
const forever = 24 * time.Hour

// serve mounts the tree and answers the kernel until the directory is unmounted.
func serve(ctx context.Context, root *entry, id string, o Options) error {
	keep := forever
	options := &fs.Options{
		EntryTimeout: &keep, AttrTimeout: &keep, NegativeTimeout: &keep,
		MountOptions: fuse.MountOptions{
			FsName: "pgincr:" + id, Name: "pgincr", DisableXAttrs: true, DirectMount: true,
			DirectMountFlags: syscall.MS_RDONLY | syscall.MS_NOSUID | syscall.MS_NODEV,
			AllowOther:       o.AllowOther, MaxWrite: fuse.MAX_KERNEL_WRITE, Options: []string{"default_permissions"},
			Logger: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		},
		NullPermissions: true,
	}
	server, err := fs.Mount(o.Dir, &node{e: root, log: o.Log}, options)
	if err != nil {
		return &UnavailableError{Dir: o.Dir, Err: err}
	}
	if o.Ready != nil {
		o.Ready()
	}
	ended := make(chan struct{})
	go func() {
		server.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	if err := server.Unmount(); err != nil {
		o.Log.Warn("the directory is in use and taken away all the same", "dir", o.Dir, "cause", err.Error())
		if err := detach(context.WithoutCancel(ctx), o.Dir); err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		return nil // who has a file open gets errors from now on
	}
	<-ended
	return nil
}

// detach takes a mounted directory away although it is in use.
func detach(ctx context.Context, dir string) error {
	err := syscall.Unmount(dir, syscall.MNT_DETACH)
	if !errors.Is(err, syscall.EPERM) {
		return err
	}
	// Who is not root mounted by fusermount3, which may do it for its user.
	cmd := exec.CommandContext(ctx, "fusermount3", "-u", "-z", "--", dir) //nolint:gosec // dir is the operator's
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("fusermount3: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}
