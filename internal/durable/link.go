package durable

import "os"

// linkNew is renameNew by a hard link. A crash between its two steps leaves a
// second name, which is that of a temporary file.
func linkNew(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}
