package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// demo runs shell lines in a directory of its own and remembers what it must stop.
type demo struct {
	p        *program
	postgres postgresInstall
	dir      string
	user     *user.User // PostgreSQL's, when the caller is root; nil: the caller
	scale    int        // of pgbench's tables
	servers  []string   // data directories on which a server was started
	load     *exec.Cmd
}

// maxSocketDir leaves room for "/.s.PGSQL.5433" in a socket's name (UNIXSOCK_PATH_BUFLEN is 108).
const maxSocketDir = 90

// newDemo makes the directory, with the program in it.
func newDemo(p *program, pg postgresInstall) (d *demo, err error) {
	d = &demo{p: p, postgres: pg}
	if os.Geteuid() == 0 {
		if d.user, err = user.Lookup("postgres"); err != nil {
			return nil, fmt.Errorf("PostgreSQL refuses to run as root: %w", err)
		}
	}
	if d.dir, err = os.MkdirTemp("", "pgincr-demo-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(d.dir))
		}
	}()
	if len(d.dir) > maxSocketDir {
		return nil, fmt.Errorf("%s: too long a path for a Unix socket; set TMPDIR to a shorter one", d.dir)
	}
	return d, d.installSelf()
}

// installSelf puts this program into the demo's directory: PostgreSQL's user may not reach where it is.
func (d *demo) installSelf() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	bin := filepath.Join(d.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if d.user == nil {
		return os.Symlink(self, filepath.Join(bin, "pgincr"))
	}
	if err := copyProgram(self, filepath.Join(bin, "pgincr")); err != nil {
		return err
	}
	uid, gid, err := d.ids()
	if err != nil {
		return err
	}
	return os.Chown(d.dir, int(uid), int(gid))
}

func copyProgram(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	const program = 0o755 // PostgreSQL's user executes what root has copied
	return errors.Join(err, out.Chmod(program), out.Close())
}

func (d *demo) ids() (uid, gid uint32, err error) {
	u, err1 := strconv.ParseUint(d.user.Uid, 10, 32)
	g, err2 := strconv.ParseUint(d.user.Gid, 10, 32)
	return uint32(u), uint32(g), errors.Join(err1, err2)
}

// exports are the variables that the lines need.
func (d *demo) exports() []string {
	return []string{
		"PATH=" + filepath.Join(d.dir, "bin") + ":" + d.postgres.bindir + ":" + os.Getenv("PATH"),
		"PGHOST=" + d.dir, "PGUSER=postgres", "PGDATABASE=postgres",
		"PGINCR_REPO=" + filepath.Join(d.dir, "repo"),
	}
}

// environment is the caller's without what would lead elsewhere.
func (d *demo) environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "PG") && name != "PATH" && name != "HOME" {
			env = append(env, kv)
		}
	}
	return append(append(env, "HOME="+d.dir, "LC_ALL=C"), d.exports()...)
}

func (d *demo) headline(text string) { _ = d.p.printf("\n# %s\n", text) }

// command prepares a shell line. It has a process group of its own, so that an interrupt at the
// terminal reaches it only through ctx, all of it and once.
func (d *demo) command(ctx context.Context, line string) (*exec.Cmd, error) {
	c := exec.CommandContext(ctx, "sh", "-c", line) //nolint:gosec // the lines are the demo's own
	c.Dir, c.Env = d.dir, d.environment()
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if d.user != nil {
		uid, gid, err := d.ids()
		if err != nil {
			return nil, err
		}
		c.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = time.Minute
	return c, nil
}

// step is one thing that the demo does.
type step func(context.Context) error

// inOrder does one step after the other, up to the first that fails.
func inOrder(ctx context.Context, steps ...step) error {
	for _, s := range steps {
		if err := s(ctx); err != nil {
			return err
		}
	}
	return nil
}

// run is the step that shows a line and runs it.
func (d *demo) run(line string) step {
	return func(ctx context.Context) error { return d.runTo(ctx, line, d.p.stdout) }
}

// output shows a line, runs it, and gives what it printed.
func (d *demo) output(ctx context.Context, line string) (string, error) {
	var out bytes.Buffer
	err := d.runTo(ctx, line, io.MultiWriter(d.p.stdout, &out))
	return strings.TrimSpace(out.String()), err
}

func (d *demo) runTo(ctx context.Context, line string, stdout io.Writer) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := d.p.printf("$ %s\n", line); err != nil {
		return err
	}
	c, err := d.command(ctx, line)
	if err != nil {
		return err
	}
	c.Stdout, c.Stderr = stdout, d.p.stderr
	err = c.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		first, _, _ := strings.Cut(line, "\n")
		return fmt.Errorf("%s: %w%s", first, err, d.logs())
	}
	return nil
}

// logs gives the end of the servers' logs, for a failure that only they explain.
func (d *demo) logs() string {
	var text string
	for _, name := range d.servers {
		b, err := os.ReadFile(filepath.Join(d.dir, name+".log"))
		if err != nil {
			continue // the server did not come so far
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		text += "; end of " + name + ".log: " + strings.Join(lines[max(0, len(lines)-5):], " / ")
	}
	return text
}

// sql is the step that runs a statement.
func (d *demo) sql(sql string) step { return d.run(`psql -qc "` + sql + `"`) }

// startServer is the step that runs pg_ctl to its end even if ctx ends: a server that is starting
// has no process id yet to stop it by.
func (d *demo) startServer(line, dataDir string) step {
	return func(ctx context.Context) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d.servers = append(d.servers, dataDir)
		return d.runTo(context.WithoutCancel(ctx), line, d.p.stdout)
	}
}

// startLoad is the step that runs a line in the background.
func (d *demo) startLoad(line string) step {
	return func(ctx context.Context) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := d.p.printf("$ %s &\n", line); err != nil {
			return err
		}
		c, err := d.command(context.WithoutCancel(ctx), "exec "+line)
		if err == nil {
			err = c.Start()
		}
		if err == nil {
			d.load = c
		}
		return err
	}
}

// stopLoad ends what startLoad began.
func (d *demo) stopLoad(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := d.p.printf("$ kill %%1; wait\n"); err != nil {
		return err
	}
	c := d.load
	d.load = nil
	if err := syscall.Kill(-c.Process.Pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("the load has ended before its time: %w, see load.log%s", errors.Join(err, c.Wait()), d.logs())
	}
	_ = c.Wait() // it says that the signal ended it
	return nil
}

// cleanupTime bounds how long servers may take to stop.
const cleanupTime = time.Minute

// cleanup stops what was started and removes the directory, whatever happened before.
func (d *demo) cleanup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if d.load != nil {
		_ = syscall.Kill(-d.load.Process.Pid, syscall.SIGKILL) // it may have ended
		_ = d.load.Wait()
	}
	var errs []error
	for _, dataDir := range d.servers {
		if _, err := os.Stat(filepath.Join(d.dir, dataDir, "postmaster.pid")); err != nil {
			continue // it did not start, or has stopped
		}
		c, err := d.command(ctx, "pg_ctl -D "+dataDir+" -m immediate -w stop")
		if err == nil {
			var out []byte
			if out, err = c.CombinedOutput(); err != nil {
				err = fmt.Errorf("stopping the server on %s: %w: %s", filepath.Join(d.dir, dataDir), err, out)
			}
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err // its files are still in use
	}
	return os.RemoveAll(d.dir)
}
