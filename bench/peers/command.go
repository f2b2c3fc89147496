package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// command prepares a program to run as the cluster's user.
func (b *bench) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+b.dir, "PGHOST="+b.dir, "PGPORT="+port, "PGUSER=bench",
		"PGDATABASE=postgres", "PGINCR_REPO="+b.repo())
	cmd.Env = append(cmd.Env, b.walgEnvironment()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: b.cfg.credential}
	return cmd
}

// do runs a program that is not measured.
func (b *bench) do(ctx context.Context, args ...string) error {
	_, err := b.output(ctx, args...)
	return err
}

// output runs a program that is not measured and gives what it prints.
func (b *bench) output(ctx context.Context, args ...string) (string, error) {
	return finish(b.command(ctx, args...), runCommand)
}

func finish(cmd *exec.Cmd, run func(*exec.Cmd) error) (string, error) {
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := run(cmd); err != nil {
		return "", fmt.Errorf("%s: %w: %s%s", strings.Join(cmd.Args, " "), err, errors.String(), tail(out.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

// pg is a program of PostgreSQL.
func (b *bench) pg(name string) string { return b.cfg.bin + "/" + name }

func (b *bench) sql(ctx context.Context, query string) (string, error) {
	return b.output(ctx, b.pg("psql"), "-XAtqc", query)
}

func runCommand(cmd *exec.Cmd) error { return cmd.Run() }
