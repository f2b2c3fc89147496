package repo

// WrapDirError is how a store on dir classifies an error.
func WrapDirError(dir string, err error) error { return (&dirStore{root: dir}).wrap(err) }

// SetPackTarget makes packs of another size.
func (b *BackupWriter) SetPackTarget(n int64) { b.packTarget = n }

// MaxOpenObjects is how many packs a reader keeps open.
const MaxOpenObjects = maxOpenObjects
