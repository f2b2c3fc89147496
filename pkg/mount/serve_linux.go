package mount

import (
	"context"
	"errors"
	"log/slog"
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
		o.Log.Warn("the directory is in use and taken away all the same", "dir", o.Dir)
		if err := syscall.Unmount(o.Dir, syscall.MNT_DETACH); err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		return nil // who has a file open gets errors from now on
	}
	<-ended
	return nil
}
