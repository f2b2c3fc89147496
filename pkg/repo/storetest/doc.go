// Package storetest holds every repo.Store to the contract of that interface,
// and makes stores fail on purpose.
//
// A new store runs the whole suite in one test:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) func() repo.Store { … })
//	}
//
// Reading order: suite.go, objects.go, listing.go, locks.go, faults.go.
package storetest
