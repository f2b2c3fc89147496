// Package pgtest runs real PostgreSQL servers for tests and lets PostgreSQL's
// own tools judge what pgincr made of their data.
//
// A test asks for what is installed (Versions, Newest, ForEach), makes a
// cluster with Install.New or adopts a restored directory with FromDataDir,
// and talks to it in SQL. Every method that can go wrong fails the test with
// the server's or the tool's own words; the Try variants return the error
// instead. Everything started or created is stopped and removed by t.Cleanup.
//
// PostgreSQL refuses to run as root. When the test does, every server and tool
// runs as the user postgres (nobody where there is none); Command and TempDir
// give a test the same user for the program under test and a place that user
// can reach. Servers listen only on a Unix socket in a directory of their own.
//
// Clusters are quick, not lax: fsync is off, since no test cuts the power of
// the machine, but full_page_writes and synchronous_commit are as they come, so
// that a killed server recovers as it does in production. Autovacuum is off and
// checkpoints are an hour apart: what happens between two backups is what the
// test does. Options bring back what a test wants different.
//
// Environment: PGINCR_PG_ROOT (where tools/postgres/install.sh installed),
// PGINCR_TEST_PG (majors that the tests must run on: "13,17", "all", or "none"
// to skip), PGINCR_TEST_DIR (where directories of tests are made: by default in
// memory, /dev/shm, if 4 GiB are free there), PGINCR_TEST_KEEP (set: they are
// kept and named).
//
// Reading order: find.go, options.go, cluster.go, lifecycle.go, then judges.go.
package pgtest
