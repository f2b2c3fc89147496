package mount

import (
	"context"
	"log/slog"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is what the kernel knows of an entry.
type node struct {
	fs.Inode

	e   *entry
	log *slog.Logger
}

var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeReleaser  = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
)

// kind gives the type bits of an entry.
func (e *entry) kind() uint32 {
	if e.isDir() {
		return syscall.S_IFDIR
	}
	return syscall.S_IFREG
}

// fill tells what stat wants to know.
func (e *entry) fill(a *fuse.Attr) {
	a.Ino, a.Mode, a.Nlink = e.ino, e.kind()|e.mode, 1
	a.Uid, a.Gid = e.uid, e.gid
	a.Size, a.Blocks, a.Blksize = uint64(e.size), uint64(e.size+511)/512, 8192
	a.SetTimes(&e.mtime, &e.mtime, &e.mtime)
}

// Lookup finds a child.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	child := n.e.children[name]
	if child == nil {
		return nil, syscall.ENOENT
	}
	child.fill(&out.Attr)
	return n.NewInode(ctx, &node{e: child, log: n.log}, fs.StableAttr{Mode: child.kind(), Ino: child.ino}), fs.OK
}

// Readdir lists a directory.
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	children := n.e.sorted()
	list := make([]fuse.DirEntry, len(children))
	for i, c := range children {
		list[i] = fuse.DirEntry{Name: c.name, Mode: c.kind(), Ino: c.ino}
	}
	return fs.NewListDirStream(list), fs.OK
}

// Getattr tells attributes.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.e.fill(&out.Attr)
	return fs.OK
}

// Open refuses writers. The kernel may keep what it has read: nothing changes.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return nil, 0, syscall.EROFS
	}
	return nil, fuse.FOPEN_KEEP_CACHE, fs.OK
}

// Read reads; what is damaged is an I/O error, and told.
func (n *node) Read(ctx context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	count, err := n.e.content.read(ctx, dest, off)
	if err != nil {
		n.log.Error("read failed", "file", n.e.name, "offset", off, "cause", err.Error())
		return nil, syscall.EIO
	}
	return fuse.ReadResultData(dest[:count]), fs.OK
}

// Release lets go of memory.
func (n *node) Release(context.Context, fs.FileHandle) syscall.Errno {
	if s, ok := n.e.content.(*segment); ok {
		s.release()
	}
	return fs.OK
}

// Statfs tells of a file system that is full, so that nobody expects to write.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.NameLen = 4096, 4096, 255
	return fs.OK
}
