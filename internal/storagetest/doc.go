// Package storagetest runs real storage servers for tests: versitygw, which speaks S3, a stand-in for
// Google Cloud Storage, Microsoft's for Azure Blob Storage, OpenSSH's, and toxiproxy, which makes connections
// fail. All but OpenSSH's, which is Debian's, are built by tools/storage/install.sh.
//
// Servers listen on loopback ports of their own and end with the test. Where they are not installed, a
// test is skipped, loudly; PGINCR_TEST_PG=all, which CI sets, makes it fail instead.
//
// Reading order: find.go, process.go, s3.go, gcs.go, azure.go, sftp.go, proxy.go.
package storagetest
