package remote

import "time"

// SetPause makes repetitions come sooner.
func (s *Store) SetPause(d time.Duration) { s.pause = d }
