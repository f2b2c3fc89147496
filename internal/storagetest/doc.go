// Package storagetest runs real storage servers for tests: versitygw, which speaks S3, and
// toxiproxy, which makes connections fail. tools/storage/install.sh builds them.
//
// Servers listen on loopback ports of their own and end with the test. Where they are not installed, a
// test is skipped, loudly; PGINCR_TEST_PG=all, which CI sets, makes it fail instead.
//
// Reading order: find.go, process.go, s3.go, proxy.go.
package storagetest
