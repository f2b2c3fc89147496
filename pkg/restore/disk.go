package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// disk makes what is written durable: each file system is flushed once at the
// end, and long files are sent on their way earlier, so that little is left to
// flush then.
type disk struct {
	// each says that every file is synced by itself, because the kernel's syncfs
	// does not tell of write errors (before Linux 5.8).
	each bool
	// handles has a directory of every file system that is written to, by device. They are
	// opened before the first write: syncfs reports errors since then.
	handles map[uint64]*os.File
}

func newDisk() (*disk, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	return &disk{each: !reportsErrors(unix.ByteSliceToString(name.Release[:])), handles: map[uint64]*os.File{}}, nil
}

// reportsErrors says whether syncfs of a kernel release reports write errors.
func reportsErrors(release string) bool {
	major, rest, _ := strings.Cut(release, ".")
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		rest = rest[:i]
	}
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(rest)
	return err1 == nil && err2 == nil && (a > 5 || a == 5 && b >= 8)
}

// watch remembers the file system of a directory.
func (d *disk) watch(root *os.Root) error {
	f, err := root.Open(".")
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return errors.Join(err, f.Close())
	}
	if d.handles[st.Dev] != nil {
		return f.Close()
	}
	d.handles[st.Dev] = f
	return nil
}

// sync makes everything durable that was written to the watched file systems.
func (d *disk) sync(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, f := range d.handles {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := unix.Syncfs(int(f.Fd())); err != nil {
				return fmt.Errorf("%s: syncfs: %w", f.Name(), err)
			}
			return nil
		})
	}
	return g.Wait()
}

// settle makes one finished file durable where the final flush would not tell of errors.
func (d *disk) settle(f *os.File) error {
	if !d.each {
		return nil
	}
	return f.Sync()
}

func (d *disk) close() error {
	var errs []error
	for _, f := range d.handles {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// flushStep is how much of a file is sent to the disk at once.
const flushStep = 8 << 20

// flusher starts the writing of one part of a file once it is complete: a
// region that is flushed half full would be laid out in fragments.
type flusher struct {
	f       *os.File
	from    int64
	started bool
}

// upTo says that everything from the part's first byte, at, to before next is written.
func (u *flusher) upTo(at, next int64, last bool) error {
	if !u.started {
		u.from, u.started = at, true
	}
	if next-u.from < flushStep && !(last && u.from > 0) {
		return nil
	}
	err := unix.SyncFileRange(int(u.f.Fd()), u.from, next-u.from, unix.SYNC_FILE_RANGE_WRITE)
	u.from = next
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ESPIPE) {
		return nil // a hint only; the final flush does it
	}
	return err
}

func (d *disk) flusher(f *os.File) *flusher { return &flusher{f: f} }
