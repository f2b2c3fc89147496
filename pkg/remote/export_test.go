package remote

import (
	"net"
	"time"
)

// SetPause makes repetitions come sooner.
func (s *Store) SetPause(d time.Duration) { s.pause = d }

// Impatient is what Dial gives.
func Impatient(c net.Conn) net.Conn { return &impatientConn{c} }
