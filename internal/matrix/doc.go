// Package matrix is the list of scenarios that an incremental backup has to survive, the record of which of them were
// played on which major version by which page map source, and the table that is made of it for docs/testing.md.
package matrix
