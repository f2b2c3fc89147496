// Command requests counts what the commands ask of an S3 server, in a repository of many backups and
// archived segments, and writes docs/benchmarks-requests.md.
//
//	go run ./bench/requests [-backups 100] [-segments 100000] [-dir /var/tmp] [-o docs/benchmarks-requests.md]
//
// The server is versitygw, as tools/storage/install.sh builds it; the cluster one of PostgreSQL, as
// tools/postgres/install.sh installs it, with WAL segments of 1 MiB. The backups are real: each day has one, each
// week begins with a full one, and a day ends as many segments as it takes. Of the segments only those around the
// backups and all of the last day are real; the others, and the page maps of days before, are stubs put into
// the server's directory, which have the right names: no command that is counted here reads one.
//
// What is counted are the requests of HTTP that arrive at a proxy between the program and the server, of
// lists one for each page, with the bytes of their bodies. The archiver does not go through it.
//
// Environment: PGINCR_PG_ROOT and PGINCR_STORAGE_ROOT where the servers are, if not where tools/ installs them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/requests:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	f := flag.NewFlagSet("requests", flag.ContinueOnError)
	backups := f.Int("backups", 100, "how many backups, one a day")
	segments := f.Int("segments", 100_000, "how many archived segments")
	scratch := f.String("dir", "/var/tmp", "where to work; a GB or two")
	major := f.String("major", "17", "of PostgreSQL")
	out := f.String("o", "docs/benchmarks-requests.md", "the document")
	if err := f.Parse(args); err != nil {
		return err
	}
	s, err := newSite(ctx, *scratch, *major)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(ctx))) }()
	if err := s.fill(ctx, *backups, *segments/(*backups+1)); err != nil {
		return err
	}
	rows, err := s.measure(ctx)
	if err != nil {
		return err
	}
	return s.render(ctx, *out, rows)
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
