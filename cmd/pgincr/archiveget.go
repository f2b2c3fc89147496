package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

type archiveGetCommand struct {
	File     string `arg:"" placeholder:"%f" help:"Name of the WAL file: what PostgreSQL puts for %f."`
	Path     string `arg:"" placeholder:"%p" help:"Where to write it: what PostgreSQL puts for %p."`
	Prefetch int    `placeholder:"N" default:"8" help:"WAL segments to fetch ahead, in the background, during recovery; 0: none (default: ${default})."`
	Spool    string `placeholder:"DIR" help:"Where to keep what is fetched ahead (default: pgincr-spool beside %p)."`
}

// fillVariable makes archive-get the process that fills the spool. It is no flag, because nobody else is to use it.
const fillVariable = "PGINCR_FILL_SPOOL"

// fillPatience ends a process that fills the spool from a store that hangs.
const fillPatience = 5 * time.Minute

// recoveryName is what a recovering server calls the segment that it asks for (xlogarchive.c).
const recoveryName = "RECOVERYXLOG"

// Help is shown below the summary.
func (*archiveGetCommand) Help() string {
	return "restore_command = 'pgincr archive-get --repo /backup %f \"%p\"', which pgincr restore writes by itself. " +
		"Exit codes of its own: 0 found; 1 certainly not in the archive, which ends recovery; " +
		"200 (or a signal's, above 128) anything else, which stops it: an outage never looks like the end of WAL. " +
		"When a recovering server asks, or with --spool, the segments that follow are fetched in the background. " +
		"A file that was fetched ahead is handed out only if its checksum is the one in the repository."
}

// Validate implements kong's check across flags.
func (c *archiveGetCommand) Validate() error {
	const most = 1024
	if c.Prefetch < 0 || c.Prefetch > most {
		return fmt.Errorf("--prefetch: must be from 0 to %d", most)
	}
	return nil
}

// Run implements the command. errNotArchived is the only error with exit code 1.
func (c *archiveGetCommand) Run(ctx context.Context, p *program) error {
	if len(p.common.Repos) > 1 {
		return c.getFromAny(ctx, p)
	}
	cluster, err := p.openReadable(ctx)
	if err != nil {
		return err
	}
	if os.Getenv(fillVariable) != "" {
		return c.fill(ctx, p, cluster)
	}
	err = c.get(ctx, p, cluster)
	if errors.Is(err, fs.ErrNotExist) {
		err = c.getPartial(ctx, p, cluster)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.missing(ctx, p, cluster)
}

// getFromAny fetches the file from the first of several repositories that has it and can be read.
func (c *archiveGetCommand) getFromAny(ctx context.Context, p *program) error {
	repos := slices.Clone(p.common.Repos)
	var failed error
	for len(repos) > 0 {
		have, all, err := p.locate(ctx, repos, c.File)
		switch {
		case have == nil && errors.Join(failed, err) != nil:
			return errors.Join(failed, err)
		case have == nil:
			return c.getLongest(ctx, p, all)
		case os.Getenv(fillVariable) != "":
			return c.fill(ctx, p, have.cluster)
		}
		err = c.get(ctx, p, have.cluster)
		if err == nil || ctx.Err() != nil {
			return err
		}
		p.log.Warn("this repository does not serve; trying the next", "repository", repoName(have.repo),
			"reason", oneLine(err.Error()))
		failed = errors.Join(failed, err)
		repos = slices.DeleteFunc(repos, func(url string) bool { return url == have.repo })
	}
	return failed
}

// getLongest is for a file that no repository has: a segment, perhaps, of which one has received a part.
func (c *archiveGetCommand) getLongest(ctx context.Context, p *program, all []*repo.Cluster) error {
	if os.Getenv(fillVariable) != "" {
		return nil
	}
	best, err := longest(ctx, all, c.File)
	if err != nil {
		return err
	}
	if best != nil {
		return c.getPartial(ctx, p, best)
	}
	// Parts go when their segment is complete, which may have been a moment ago.
	have, _, err := p.locate(ctx, p.common.Repos, c.File)
	if err != nil {
		return err
	}
	if have != nil {
		return c.get(ctx, p, have.cluster)
	}
	return c.missing(ctx, p, all[0])
}

// get fetches the file from one repository.
func (c *archiveGetCommand) get(ctx context.Context, p *program, cluster *repo.Cluster) error {
	spool := c.spool(cluster, p.common.jobs())
	spooled, err := spool.Get(ctx, c.File, c.Path)
	if err == nil {
		p.log.Debug("fetched", "file", c.File, "ahead", spooled)
		c.prefetch(ctx, p, spool)
	}
	return err
}

// fill fetches ahead from a repository.
func (c *archiveGetCommand) fill(ctx context.Context, p *program, cluster *repo.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, fillPatience)
	defer cancel()
	_, err := c.spool(cluster, p.common.jobs()).Fill(ctx, c.File)
	return err
}

// missing gives the answer that no repository has the file, if that is certain.
func (c *archiveGetCommand) missing(ctx context.Context, p *program, cluster *repo.Cluster) error {
	// A repository that went away meanwhile lacks every file. It is there if the entry still is.
	for _, url := range p.common.Repos {
		if _, err := p.openClusterAt(ctx, url); err != nil {
			return err
		}
	}
	spool := c.spool(cluster, p.common.jobs())
	if err := spool.Clear(); err != nil {
		p.log.Warn("the spool is not empty", "directory", spool.Dir, "reason", err)
	}
	return fmt.Errorf("%s: %w", c.File, errNotArchived)
}

// getPartial hands out what was received of a segment that is not complete, the last one of a timeline.
func (c *archiveGetCommand) getPartial(ctx context.Context, p *program, cluster *repo.Cluster) error {
	archive, g := cluster.WAL(repo.Compression{}), cluster.Info.Geometry
	end, err := wal.GetPartial(ctx, archive, g, c.File, c.Path)
	if err == nil {
		p.log.Info("the segment was not received whole", "file", c.File, "bytes", end)
	}
	if errors.Is(err, fs.ErrNotExist) {
		// Its parts go when it is complete, which may have been a moment ago.
		return wal.Get(ctx, archive, c.File, c.Path)
	}
	return err
}

// spool gives the spool of the flags. Without --spool, only a recovering server has one: what somebody fetches by hand
// is followed by nothing.
func (c *archiveGetCommand) spool(cluster *repo.Cluster, jobs int) *wal.Spool {
	s := &wal.Spool{
		Archive: cluster.WAL(repo.Compression{}), Dir: c.Spool,
		Geometry: cluster.Info.Geometry, Ahead: c.Prefetch, Jobs: jobs,
	}
	if s.Dir == "" {
		s.Dir, s.Temporary = filepath.Join(filepath.Dir(c.Path), "pgincr-spool"), true
		if filepath.Base(c.Path) != recoveryName {
			s.Ahead = 0
		}
	}
	return s
}

// prefetch starts a process that fills the spool while the server replays. That it cannot is no error of the command.
func (c *archiveGetCommand) prefetch(ctx context.Context, p *program, spool *wal.Spool) {
	wanted, err := spool.WantsFill(c.File)
	if err == nil && wanted {
		if err = spool.Announce(); err == nil {
			err = startDetached(ctx, p.args, fillVariable+"=true")
		}
	}
	if err != nil {
		p.log.Warn("nothing is fetched ahead", "spool", spool.Dir, "reason", err)
	}
}

// startDetached runs this program once more, in a session of its own, so that what ends the caller does not end it,
// and without any of the caller's files: the server would take it for a part of itself that lives on.
func startDetached(ctx context.Context, args []string, variable string) error {
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	if err := closeOnExec(); err != nil {
		return err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), executable, args...) //nolint:gosec // itself, as it was called
	cmd.Args[0] = "pgincr"
	cmd.Env = append(os.Environ(), variable)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// closeOnExec keeps the files that this process was given from the programs it starts.
func closeOnExec() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		entries, err = os.ReadDir("/dev/fd")
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return err
}
