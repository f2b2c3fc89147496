package repo

import "os"

// give gives what root makes in a repository that is another's to its owner, who could not read it afterwards
// otherwise.
func (s *dirStore) give(to func(root string) error) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return to(s.root)
}
