package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	port      = "5498"
	accessKey = "bench"
	secretKey = "bench-secret"
	bucket    = "bucket"
)

// site is a cluster, an S3 server with its repository, and a counting proxy before it.
type site struct {
	dir        string // of this run
	bin        string // of PostgreSQL
	credential *syscall.Credential
	storage    *exec.Cmd
	addr       string // of the S3 server: host:port
	counter    *counter
	filled     struct{ backups, segments, perDay, maps int } // what there is when measuring begins
}

// newSite starts the servers.
func newSite(ctx context.Context, scratch, major string) (_ *site, err error) {
	s := &site{}
	cache, err := s.who()
	if err != nil {
		return nil, err
	}
	s.bin = filepath.Join(variable("PGINCR_PG_ROOT", filepath.Join(cache, "postgres")), major, "bin")
	if s.dir, err = os.MkdirTemp(scratch, "bench-requests-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}()
	if s.credential != nil {
		if err := os.Chown(s.dir, int(s.credential.Uid), int(s.credential.Gid)); err != nil {
			return nil, err
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", s.pgincr(), "./cmd/pgincr")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := finish(build); err != nil {
		return nil, err
	}
	program := filepath.Join(variable("PGINCR_STORAGE_ROOT", filepath.Join(cache, "storage")), "versitygw")
	if err := s.serve(ctx, program); err != nil {
		return nil, err
	}
	if s.counter, err = newCounter(ctx, s.addr); err != nil {
		return nil, err
	}
	return s, s.start(ctx)
}

// who finds the user that PostgreSQL runs as, and where its programs were installed.
func (s *site) who() (cache string, err error) {
	if os.Getuid() != 0 {
		return filepath.Join(os.Getenv("HOME"), ".cache/pgincr"), nil
	}
	u, err := user.Lookup("postgres") // PostgreSQL does not run as root
	if err != nil {
		return "", err
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	s.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return "/var/cache/pgincr", errors.Join(err1, err2)
}

func variable(name, unset string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return unset
}

func (s *site) pgincr() string     { return filepath.Join(s.dir, "pgincr") }
func (s *site) pgdata() string     { return filepath.Join(s.dir, "data") }
func (s *site) entry() string      { return filepath.Join(s.dir, "s3", bucket, "pg/main") } // in the server's files
func (s *site) pg(p string) string { return filepath.Join(s.bin, p) }

// url gives the repository as it is reached at addr.
func (s *site) url(addr string) string {
	return fmt.Sprintf("s3://%s/pg?endpoint=http://%s&path-style=true&region=us-east-1", bucket, addr)
}

// serve starts the S3 server.
func (s *site) serve(ctx context.Context, program string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.addr = l.Addr().String()
	root := filepath.Join(s.dir, "s3")
	if err := errors.Join(l.Close(), os.MkdirAll(filepath.Join(root, bucket), 0o755)); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "--port", s.addr, "--quiet", "posix", root)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.storage = cmd
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer: %w", program, err)
		}
	}
}

// fast is the file that makes the archiver let segments go, which stubs then stand for.
func (s *site) fast() string { return filepath.Join(s.dir, "fast") }

// start makes the cluster and its repository.
func (s *site) start(ctx context.Context) error {
	if err := s.do(ctx, s.pg("initdb"), "-D", s.pgdata(), "-U", "bench", "-A", "trust", "-k", "--no-sync",
		"--wal-segsize=1"); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.pgdata(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, `
listen_addresses = ''
unix_socket_directories = '%s'
port = %s
fsync = off
wal_init_zero = off
max_wal_size = 4GB
checkpoint_timeout = 1d
autovacuum = off
archive_mode = on
archive_command = 'test -e %s || exec %s archive-push -q -R "%s" %%p'
`, s.dir, port, s.fast(), s.pgincr(), s.url(s.addr))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.do(ctx, s.pg("pg_ctl"), "-D", s.pgdata(), "-l", filepath.Join(s.dir, "log"), "-w", "start"); err != nil {
		return err
	}
	for _, query := range []string{
		"CREATE TABLE t AS SELECT i, 0 AS n, repeat('x', 100) AS x FROM generate_series(1, 200000) i",
		"CREATE INDEX ON t (i)",
	} {
		if _, err := s.sql(ctx, query); err != nil {
			return err
		}
	}
	return s.do(ctx, s.pgincr(), "init", "-q", "-R", s.url(s.addr))
}

// close stops the servers and removes everything.
func (s *site) close(ctx context.Context) error {
	var err error
	if _, notThere := os.Stat(filepath.Join(s.pgdata(), "postmaster.pid")); notThere == nil {
		err = s.do(ctx, s.pg("pg_ctl"), "-D", s.pgdata(), "-m", "immediate", "-w", "stop")
	}
	if s.storage != nil {
		err = errors.Join(err, s.storage.Process.Kill())
		_ = s.storage.Wait() // it was killed
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// command prepares a program to run as the cluster's user.
func (s *site) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+s.dir, "PGHOST="+s.dir, "PGPORT="+port, "PGUSER=bench",
		"PGDATABASE=postgres", "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey,
		"AWS_EC2_METADATA_DISABLED=true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	return cmd
}

func (s *site) do(ctx context.Context, args ...string) error {
	_, err := finish(s.command(ctx, args...))
	return err
}

func (s *site) sql(ctx context.Context, query string) (string, error) {
	return finish(s.command(ctx, s.pg("psql"), "-XAtqc", query))
}

func finish(cmd *exec.Cmd) (string, error) {
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s%s", strings.Join(cmd.Args, " "), err, errors.String(), out.String())
	}
	return strings.TrimSpace(out.String()), nil
}
