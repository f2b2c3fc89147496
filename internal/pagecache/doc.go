// Package pagecache leaves the page cache as it was: a backup reads files that the
// server does not need just now, and must not push out what it does need.
//
// Ask for what is missing before reading, drop exactly that afterwards. All of it is
// advice: where the system does not tell or does not listen, only speed is lost.
package pagecache
