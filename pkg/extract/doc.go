// Package extract reads single pages and files out of a chain, without restoring it: for who looks for damage, or
// wants one table's file as it was.
//
// What is read is verified as in a restore: frames, page hashes, content checksums. Memory: a frame and the page
// hashes of one file.
package extract
