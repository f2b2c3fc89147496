package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/pgincr/pgincr/pkg/repo"
)

// detailLines is how much of a check's output is kept with its verdict.
const detailLines = 5

// amcheckCorrupt is the exit code of pg_amcheck that found something.
const amcheckCorrupt = 2

// amcheck lets PostgreSQL look at every table and B-tree index.
func (c *client) amcheck(ctx context.Context) (repo.Verdict, error) {
	v := repo.Verdict{Name: "amcheck"}
	why, err := c.noAmcheck(ctx)
	if err != nil {
		return v, err
	}
	if why != "" {
		v.Result, v.Detail = repo.DrillSkipped, why
		if c.o.Amcheck == AmcheckOn {
			v.Result = repo.DrillFailed
		}
		return v, nil
	}
	var out bytes.Buffer
	args := []string{"--all", "--install-missing", "--jobs", fmt.Sprint(c.o.Jobs)}
	if c.o.HeapAllIndexed {
		args = append(args, "--heapallindexed")
	}
	code, err := c.run(ctx, &out, nil, "pg_amcheck", args...)
	switch {
	case err != nil:
		return v, err
	case code == 0:
		v.Result = repo.DrillOK
		return v, nil
	case code == amcheckCorrupt:
		v.Result = repo.DrillFindings
	default:
		v.Result = repo.DrillFailed
	}
	v.Detail = firstLines(out.String(), detailLines)
	return v, nil
}

// noAmcheck says why there can be no such check.
func (c *client) noAmcheck(ctx context.Context) (string, error) {
	if _, err := os.Stat(c.o.program("pg_amcheck")); err != nil {
		return fmt.Sprintf("%s has no pg_amcheck, which began with PostgreSQL 14", c.o.Bindir), nil
	}
	version, err := c.query(ctx, "SELECT current_setting('server_version_num')::int / 10000 || ' ' || "+
		"(SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck')")
	switch {
	case err != nil:
		return "", err
	case strings.HasPrefix(version, "13 "):
		return "pg_amcheck looks at PostgreSQL 14 and later", nil
	case strings.HasSuffix(version, " 0"):
		return "the extension amcheck is not installed on this host (package postgresql-contrib)", nil
	}
	return "", nil
}

// sql runs a script of the caller's.
func (c *client) sql(ctx context.Context, script io.Reader, command string) (repo.Verdict, error) {
	v := repo.Verdict{Name: "sql", Result: repo.DrillOK}
	args := []string{"-X", "-v", "ON_ERROR_STOP=1", "-f", "-"}
	if script == nil {
		args[3], args[4] = "-c", command
	}
	var out bytes.Buffer
	code, err := c.run(ctx, &out, script, "psql", args...)
	if err == nil && code != 0 {
		v.Result, v.Detail = repo.DrillFindings, errorLines(out.String())
	}
	return v, err
}

// errorLines gives the end of what psql said, from the first error on.
func errorLines(text string) string {
	for _, word := range []string{"ERROR:", "FATAL:", "error:"} {
		if i := strings.Index(text, word); i >= 0 {
			text = text[i:]
			break
		}
	}
	return firstLines(text, detailLines)
}

// maxKept bounds what is kept of a program's output to tell what it found.
const maxKept = 64 << 10

// run runs a program against the server and gives its exit code. What it prints goes to the
// caller's output, and its beginning to kept.
func (c *client) run(
	ctx context.Context, kept *bytes.Buffer, in io.Reader, name string, args ...string,
) (code int, err error) {
	cmd := c.command(ctx, c.o.Database, name, args...)
	both := &tee{to: c.o.Output, kept: kept}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, both, both
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	}
	return 0, err
}

// tee writes to one writer, and the beginning to a buffer.
type tee struct {
	to   io.Writer
	kept *bytes.Buffer
}

func (t *tee) Write(p []byte) (int, error) {
	t.kept.Write(p[:max(0, min(len(p), maxKept-t.kept.Len()))])
	return t.to.Write(p)
}
