package remote

import "sync/atomic"

// Usage counts what was asked of a service, repetitions included: providers charge for it. A list counts
// for each of its pages, of a thousand names or so.
type Usage struct {
	Gets, Stats, Lists, Puts, Parts, Deletes int64
	Read, Written                            int64 // bytes of objects
}

// Requests is the number of all.
func (u Usage) Requests() int64 { return u.Gets + u.Stats + u.Lists + u.Puts + u.Parts + u.Deletes }

// usage counts.
type usage struct {
	get, stat, list, put, part, remove atomic.Int64
	read, written                      atomic.Int64
}

// Usage gives what was asked of the service so far. Puts include beginnings and completions of
// objects that are sent in parts.
func (s *Store) Usage() Usage {
	u := &s.usage
	return Usage{
		Gets: u.get.Load(), Stats: u.stat.Load(), Lists: u.list.Load(), Puts: u.put.Load(),
		Parts: u.part.Load(), Deletes: u.remove.Load(), Read: u.read.Load(), Written: u.written.Load(),
	}
}
