package wal

import "context"

// PushResult tells what Push did.
type PushResult struct {
	Name      string
	Mapped    bool   // a page map was stored beside the segment
	MapReason string // why not, when not
}

// Push archives the WAL file at path under its base name and then makes its
// page map. The commit point is the archived file; a map that cannot be made never fails a push.
func Push(ctx context.Context, a Archive, path string) (PushResult, error) { panic("stub") }

// Get writes the archived file called name to dest, durable under its final
// name or not at all. It fails with fs.ErrNotExist only when the archive certainly lacks the file.
func Get(ctx context.Context, a Archive, name, dest string) error { panic("stub") }
