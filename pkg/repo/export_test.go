package repo

// WrapDirError is how a store on dir classifies an error.
func WrapDirError(dir string, err error) error { return (&dirStore{root: dir}).wrap(err) }
