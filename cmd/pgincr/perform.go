package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// hookVariable tells a hook which one it is, and a pgincr that a hook runs not to run hooks.
const hookVariable = "PGINCR_HOOK"

// workCommands are those that run hooks and write metrics. Those of archive_command and restore_command are not
// among them: they must be quick, and what PostgreSQL makes of their end must depend on nothing else.
func workCommands() []string {
	return []string{"backup", "restore", "verify", "check", "drill", "compact", "expire", "pagemap build"}
}

// outcome is how a command ended, for hooks and metrics.
type outcome struct {
	command string
	begun   time.Time
	took    time.Duration
	err     error
}

// note keeps a result of the command for hooks: PGINCR_RESULT_ and its name in their environment. Of a command that is
// done in each of several repositories it is that of the first; all are there with their numbers before the names, too.
func (p *program) note(name, value string) {
	if p.part > 0 {
		p.results = append(p.results, fmt.Sprintf("%d_%s=%s", p.part, name, value))
	}
	known := slices.ContainsFunc(p.results, func(r string) bool { return strings.HasPrefix(r, name+"=") })
	if p.part == 0 || !known {
		p.results = append(p.results, name+"="+value)
	}
}

// perform runs the command that was parsed, with its hooks, and writes metrics.
func (p *program) perform(ctx context.Context, parsed *kong.Context) error {
	o := outcome{command: commandOf(parsed)}
	if !slices.Contains(workCommands(), o.command) {
		return p.runIn(ctx, parsed)
	}
	o.begun = p.clock()
	before := p.hook(ctx, "before", p.common.HookBefore, o)
	if o.err = before; before == nil {
		o.err = p.runIn(ctx, parsed)
	}
	o.took = p.clock().Sub(o.begun)
	// Whatever ended the command: these are about its end.
	ctx = context.WithoutCancel(ctx)
	var after error
	if before == nil {
		after = p.hook(ctx, "after", p.common.HookAfter, o)
	}
	err := errors.Join(after, p.writeMetrics(ctx, o))
	if err != nil && o.err == nil {
		err = findings("%s is done, but %v", o.command, err)
	}
	return errors.Join(o.err, err)
}

// commandOf gives the command as it stands on the command line, without its arguments.
func commandOf(parsed *kong.Context) string {
	var words []string
	for _, path := range parsed.Path {
		if path.Command != nil {
			words = append(words, path.Command.Name)
		}
	}
	return strings.Join(words, " ")
}

// hook runs a line with the shell. What it prints goes to stderr, which is not for results.
func (p *program) hook(ctx context.Context, when, line string, o outcome) error {
	if line == "" || os.Getenv(hookVariable) != "" {
		return nil
	}
	c := exec.CommandContext(ctx, "sh", "-c", line) //nolint:gosec // the line is the user's own
	c.Stdout, c.Stderr = p.stderr, p.stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = cleanupTime
	c.Env = append(os.Environ(), hookVariable+"="+when, "PGINCR_COMMAND="+o.command,
		"PGINCR_REPO="+strings.Join(p.common.absoluteRepos(), "\n"), "PGINCR_CLUSTER="+p.common.Cluster)
	if when == "after" {
		text := ""
		if o.err != nil {
			text = oneLine(o.err.Error())
		}
		c.Env = append(c.Env, "PGINCR_EXIT_CODE="+strconv.Itoa(exitCode(o.err, false)), "PGINCR_ERROR="+text,
			"PGINCR_SECONDS="+strconv.FormatFloat(o.took.Seconds(), 'f', 3, 64))
		for _, r := range p.results {
			c.Env = append(c.Env, "PGINCR_RESULT_"+r)
		}
	}
	err := c.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("hook-%s: %w", when, err)
	}
	return nil
}
