package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/pkg/mount"
	"github.com/pgincr/pgincr/pkg/restore"
)

// spread says what a command does with several repositories.
type spread int

const (
	inOne   spread = iota // it refuses them: what it changes lies in one
	inEvery               // it is done in each, one after the other, whatever becomes of it in the others
	inAny                 // it is done in the first that serves
	inAll                 // it looks at all of them itself
)

// spreading is a command that takes several repositories.
type spreading interface{ spread() spread }

func (*initCommand) spread() spread          { return inEvery }
func (*backupCommand) spread() spread        { return inEvery }
func (*archivePushCommand) spread() spread   { return inEvery }
func (*listCommand) spread() spread          { return inEvery }
func (*expireCommand) spread() spread        { return inEvery }
func (*pagemapBuildCommand) spread() spread  { return inEvery }
func (*keyListCommand) spread() spread       { return inEvery }
func (*keyAddCommand) spread() spread        { return inEvery }
func (*keyRemoveCommand) spread() spread     { return inEvery }
func (*keyRotateCommand) spread() spread     { return inEvery }
func (*keyPassphraseCommand) spread() spread { return inEvery }

func (*restoreCommand) spread() spread     { return inAny }
func (*showCommand) spread() spread        { return inAny }
func (*mountCommand) spread() spread       { return inAny }
func (*reportCommand) spread() spread      { return inAny }
func (*pagemapShowCommand) spread() spread { return inAny }

func (c *verifyCommand) spread() spread { return spreadOver(c.Backups...) }
func (c *drillCommand) spread() spread  { return spreadOver(c.Backup) }

// spreadOver is for what would be done in each, but for a backup that is named, which lies in one.
func spreadOver(backups ...string) spread {
	if slices.ContainsFunc(backups, named) {
		return inAny
	}
	return inEvery
}

// named says whether a backup is given by its id: latest and latest-full mean those of each repository.
func named(backup string) bool {
	return !slices.Contains([]string{"", "latest", "latest-full"}, backup)
}

func (*checkCommand) spread() spread      { return inAll }
func (*archiveGetCommand) spread() spread { return inAll }

// spreadOf gives what a command does with several repositories.
func spreadOf(node *kong.Node) spread {
	if s, ok := node.Target.Addr().Interface().(spreading); ok {
		return s.spread()
	}
	return inOne
}

// runIn runs the command that was parsed in the repositories of the common flags.
func (p *program) runIn(ctx context.Context, parsed *kong.Context) error {
	if len(p.common.Repos) < 2 {
		return parsed.Run(p)
	}
	switch spreadOf(parsed.Selected()) {
	case inEvery:
		return p.runInEvery(ctx, parsed)
	case inAny:
		return p.runInAny(ctx, parsed)
	case inOne, inAll:
	}
	return parsed.Run(p)
}

// part is what a command came to in one of several repositories.
type part struct {
	repo     string
	document json.RawMessage // what --json prints; nil: nothing
	err      error
}

// runInEvery runs the command in each repository. The error tells of all in which it failed, and of those
// that an interruption left out: archive-push must not end well before all have the file.
func (p *program) runInEvery(ctx context.Context, parsed *kong.Context) error {
	parts := make([]part, len(p.common.Repos))
	for i, url := range p.common.Repos {
		parts[i].repo = url
		if parts[i].err = context.Cause(ctx); parts[i].err == nil {
			p.part = i + 1
			p.runPart(parsed, &parts[i])
			p.part = 0
		}
	}
	err := p.printParts(parts)
	return errors.Join(err, partsFailed(parts))
}

// runPart runs the command in one of several repositories.
func (p *program) runPart(parsed *kong.Context, pt *part) {
	stdout := p.stdout
	defer func() { p.document, p.stdout = nil, stdout }()
	p.common.Repo, p.document = pt.repo, &pt.document
	p.stdout = &headed{w: stdout, head: "repository " + repoName(pt.repo) + "\n"}
	pt.err = parsed.Run(p)
}

// runInAny runs the command in one repository after the other until it does not fail because of the repository.
func (p *program) runInAny(ctx context.Context, parsed *kong.Context) error {
	var parts []part
	for i, url := range p.common.Repos {
		p.common.Repo = url
		err := parsed.Run(p)
		if err == nil || ctx.Err() != nil || !ofRepository(err) {
			return err
		}
		parts = append(parts, part{repo: url, err: err})
		if i+1 < len(p.common.Repos) {
			p.log.Warn("this repository does not serve; trying the next", "repository", repoName(url),
				"reason", oneLine(err.Error()))
		}
	}
	return partsFailed(parts)
}

// ofRepository says whether an error may be another one, or none, in another repository. What cannot be
// told is tried.
func ofRepository(err error) bool {
	var usage *usageError
	var findings *findingsError
	var status *statusError
	var option *restore.OptionError
	var target *restore.TargetError
	var space *restore.SpaceError
	var unarchived *restore.UnarchivedError
	var unavailable *mount.UnavailableError
	switch {
	case errors.As(err, &usage), errors.As(err, &findings), errors.As(err, &status), errors.As(err, &option),
		errors.As(err, &target), errors.As(err, &space), errors.As(err, &unarchived), errors.As(err, &unavailable),
		errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return false
	}
	return true
}

// partsError says in which of several repositories a command failed, or found something.
type partsError struct {
	of     int
	failed []part
}

// partsFailed gives nil if none failed.
func partsFailed(parts []part) error {
	e := &partsError{of: len(parts)}
	for _, pt := range parts {
		if pt.err != nil {
			e.failed = append(e.failed, pt)
		}
	}
	if len(e.failed) == 0 {
		return nil
	}
	return e
}

func (e *partsError) Error() string {
	texts := make([]string, len(e.failed))
	same := true // of the server, say, or the command line
	for i, pt := range e.failed {
		texts[i] = repoName(pt.repo) + ": " + oneLine(pt.err.Error())
		same = same && pt.err.Error() == e.failed[0].err.Error()
	}
	if same && len(e.failed) == e.of {
		texts = []string{oneLine(e.failed[0].err.Error())}
	}
	return fmt.Sprintf("%d of %d repositories: %s", len(e.failed), e.of, strings.Join(texts, "; "))
}

func (e *partsError) Unwrap() []error {
	errs := make([]error, len(e.failed))
	for i, pt := range e.failed {
		errs[i] = pt.err
	}
	return errs
}

// code is that of the first repository in which the command was not done. Findings are of what was.
func (e *partsError) code() int {
	code := exitFindings
	for _, pt := range e.failed {
		if c := exitCode(pt.err, false); c != exitFindings {
			return c
		}
	}
	return code
}
