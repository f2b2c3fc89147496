// Package restore rebuilds a data directory from a chain: plan, copy, commit.
package restore
