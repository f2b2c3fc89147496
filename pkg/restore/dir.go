package restore

import (
	"os"
	"sync/atomic"
)

// dir is an open directory of the restored tree, closed when the last of those
// who hold it lets it go.
type dir struct {
	root *os.Root
	path string // as the index has it; "" is the data directory
	refs atomic.Int32
	// sweep belongs to the goroutine that walks the index.
	sweep *sweep
}

// newDir gives a directory with one holder.
func newDir(root *os.Root, path string) *dir {
	d := &dir{root: root, path: path}
	d.refs.Store(1)
	return d
}

// hold adds a holder. Only holders may call it.
func (d *dir) hold() *dir {
	d.refs.Add(1)
	return d
}

// release ends the caller's hold.
func (d *dir) release() error {
	if d.refs.Add(-1) > 0 {
		return nil
	}
	return d.root.Close()
}
