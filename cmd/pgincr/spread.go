package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
func (*drillCommand) spread() spread         { return inEvery }
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

// A backup that is named lies in one of them.
func (c *verifyCommand) spread() spread {
	if len(c.Backups) > 0 {
		return inAny
	}
	return inEvery
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

// runInEvery runs the command in each repository. The error tells of all in which it failed.
func (p *program) runInEvery(ctx context.Context, parsed *kong.Context) error {
	stdout := p.stdout
	parts := make([]part, 0, len(p.common.Repos))
	for _, url := range p.common.Repos {
		var document json.RawMessage
		p.common.Repo, p.document = url, &document
		p.stdout = &headed{w: stdout, head: "repository " + repoName(url) + "\n"}
		err := parsed.Run(p)
		parts = append(parts, part{repo: url, document: document, err: err})
		p.document, p.stdout = nil, stdout
		if ctx.Err() != nil {
			break
		}
	}
	err := p.printParts(parts)
	return errors.Join(err, partsFailed(parts))
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
	for i, pt := range e.failed {
		texts[i] = repoName(pt.repo) + ": " + oneLine(pt.err.Error())
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
