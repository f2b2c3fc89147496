package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// encryption takes and restores full backups of one state in a repository of each kind.
func (b *bench) encryption(ctx context.Context) error {
	where := filepath.Join(b.dir, "encryption")
	if err := os.RemoveAll(where); err != nil {
		return err
	}
	if err := b.directory(where); err != nil {
		return err
	}
	key := filepath.Join(where, "key")
	recipient, err := b.output(ctx, b.pgincr(), "key", "generate", "-o", key)
	if err != nil {
		return err
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	place := &places{b: b, where: where}
	var takes, puts []side
	for _, kind := range []struct {
		name string
		args []string
	}{{"pgincr", nil}, {"pgincr, encrypted", []string{"--recipient", recipient}}} {
		common := []string{"-q", "-R", filepath.Join(where, strings.ReplaceAll(kind.name, ", ", "-"))}
		if err := b.do(ctx, append(append([]string{b.pgincr(), "init"}, common...), kind.args...)...); err != nil {
			return err
		}
		if kind.args != nil {
			common = append(common, "--identity", key)
		}
		jobs := []string{"-j", (&taken{b: b}).jobs()}
		common = append(common, jobs...)
		takes = append(takes, side{name: kind.name, args: append(
			[]string{b.pgincr(), "backup", "-D", b.pgdata(), "-c", "fast", "--wal", "stream"}, common...)})
		puts = append(puts, side{
			name: kind.name, before: place.fresh,
			args: append([]string{b.pgincr(), "restore", "--target", "immediate", "-D", place.out()}, common...),
		})
	}
	if err := b.alternate(ctx, "full backup", b.cfg.runs, takes); err != nil {
		return err
	}
	if err := b.alternate(ctx, "restore", b.cfg.runs, puts); err != nil {
		return err
	}
	return os.RemoveAll(where)
}
