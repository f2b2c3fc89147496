package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgincr/pgincr/pkg/check"
	"github.com/pgincr/pgincr/pkg/repo"
)

type checkCommand struct {
	jsonFlag        `embed:""`
	connectionFlags `embed:"" group:"connection"`

	Nagios         bool          `help:"Print one line with performance data and exit as monitoring plugins do: 0 ok, 1 warning, 2 critical."`
	RepositoryOnly bool          `help:"Do not connect to the server: look at the repository only."`
	SwitchWAL      bool          `name:"switch-wal" help:"End the server's WAL segment and wait until it is in the repository."`
	SwitchTimeout  time.Duration `placeholder:"DURATION" default:"1m" help:"How long to wait for that (default: ${default})."`
	MaxBackupAge   time.Duration `placeholder:"DURATION" default:"26h" help:"How old the newest backup may be, 0 for any age (default: ${default})."`
	MaxArchiveAge  time.Duration `placeholder:"DURATION" default:"1h" help:"How long WAL may wait to be archived, 0 for any time (default: ${default})."`
	MaxDrillAge    time.Duration `placeholder:"DURATION" default:"0" help:"How old the newest drill may be (default: any age, or none)."`
	MaxChain       int           `placeholder:"N" default:"60" help:"How many backups the newest one's chain may have, 0 for any number (default: ${default})."`
}

// Help is shown below the summary.
func (*checkCommand) Help() string {
	return "Named checks of the repository, the backups, the WAL between them, drills, the server and its archiver, " +
		"each ok, warning, critical or skipped, with a remedy. Exit code 3 says that something is critical."
}

// Validate is called by kong.
func (c *checkCommand) Validate() error {
	switch {
	case c.JSON && c.Nagios:
		return errors.New("--json, --nagios: cannot be used together")
	case c.RepositoryOnly && c.SwitchWAL:
		return errors.New("--switch-wal: does not go with --repository-only")
	case c.SwitchTimeout <= 0:
		return errors.New("--switch-timeout: must be positive")
	case c.MaxChain < 0 || c.MaxBackupAge < 0 || c.MaxArchiveAge < 0 || c.MaxDrillAge < 0:
		return errors.New("--max-…: must not be negative")
	}
	return nil
}

// checkDocument is what check --json prints.
type checkDocument struct {
	Cluster   string          `json:"cluster"`
	CheckedAt time.Time       `json:"checked_at"`
	Status    check.Status    `json:"status"`
	Checks    []check.Finding `json:"checks"`
}

// Run implements the command.
func (c *checkCommand) Run(ctx context.Context, p *program) error {
	d := &checkDocument{Cluster: p.common.Cluster, CheckedAt: p.clock().UTC()}
	command := walArchiveCommand(p.common)
	var opening error // of the first that cannot be opened, which has an exit code of its own
	for _, url := range p.common.Repos {
		p.common.Repo = url
		found, err := c.look(ctx, p, command)
		if opening == nil {
			opening = err
		}
		for _, f := range found {
			f.Repo = p.common.label(url)
			d.Checks = append(d.Checks, f)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i := range d.Checks {
		f := &d.Checks[i]
		f.Message, f.Remedy = oneLine(f.Message), oneLine(f.Remedy)
	}
	d.Status = check.Worst(d.Checks)
	p.note("STATUS", string(d.Status))
	p.checked = d.Checks
	if c.Nagios {
		return errors.Join(p.printNagios(d), nagiosStatus(d.Status))
	}
	if err := c.print(p, d); err != nil {
		return err
	}
	if opening != nil {
		return opening
	}
	return critical(d)
}

// look looks at the repository of the common flags, and at the server as that one sees it. The error is that it cannot
// be opened.
func (c *checkCommand) look(ctx context.Context, p *program, command string) (found []check.Finding, opening error) {
	o := check.Options{
		MaxBackupAge: c.MaxBackupAge, MaxArchiveAge: c.MaxArchiveAge, MaxDrillAge: c.MaxDrillAge, MaxChain: c.MaxChain,
		Dir: repositoryDir(p.common.Repo), ArchiveCommand: command, Clock: p.clock,
	}
	if c.SwitchWAL {
		o.SwitchWAL = c.SwitchTimeout
	}
	cluster, opening := p.openCluster(ctx)
	if opening != nil {
		found = append(found, check.Failed("repository", opening, hintFor(opening)))
		return append(found, c.server(ctx, nil, o)...), opening
	}
	server := c.server(ctx, cluster, o) // first: a segment that it ends may show a gap before it
	return append(check.Repository(ctx, cluster, o), server...), nil
}

// server looks at the server, unless nobody wants that.
func (c *checkCommand) server(ctx context.Context, cluster *repo.Cluster, o check.Options) []check.Finding {
	var findings []check.Finding
	skip := func(names []string, why string) []check.Finding {
		for _, name := range names {
			findings = append(findings, check.Finding{Name: name, Status: check.Skipped, Message: why})
		}
		return findings
	}
	names := check.ServerNames()
	if c.RepositoryOnly {
		return skip(names, "not looked at: --repository-only")
	}
	s, err := c.connect(ctx)
	if err != nil {
		findings = append(findings, check.Failed(names[0], err, hintFor(err)))
		return skip(names[1:], "no connection")
	}
	findings = check.Server(ctx, s, cluster, o)
	if err := s.Close(context.WithoutCancel(ctx)); err != nil {
		findings = append(findings, check.Failed(names[0], err, ""))
	}
	return findings
}

// critical gives the error of a document with critical findings.
func critical(d *checkDocument) error {
	var names []string
	for _, f := range d.Checks {
		if f.Status == check.Critical {
			names = append(names, findingName(f))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return findings("cluster %q: critical: %s", d.Cluster, strings.Join(names, ", "))
}

// print prints the document, or a table of it: all, or with --quiet what is not ok.
func (c *checkCommand) print(p *program, d *checkDocument) error {
	if c.JSON {
		return p.printJSON(d)
	}
	var rows []string
	for _, f := range d.Checks {
		if p.common.Quiet && (f.Status == check.OK || f.Status == check.Skipped) {
			continue
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s", f.Status, findingName(f), f.Message))
		if f.Remedy != "" {
			rows = append(rows, "\t\t→ "+f.Remedy)
		}
	}
	return p.printTable(rows)
}

// findingName names a check, and its repository where there are several.
func findingName(f check.Finding) string {
	if f.Repo == "" {
		return f.Name
	}
	return f.Name + " (" + f.Repo + ")"
}

// walArchiveCommand is the line that a server should archive with.
func walArchiveCommand(c *commonFlags) string {
	line := "pgincr archive-push"
	for _, url := range c.absoluteRepos() {
		line += " --repo " + shellQuote(url)
	}
	if c.Cluster != "main" {
		line += " --cluster " + shellQuote(c.Cluster)
	}
	return strings.ReplaceAll(line, "%", "%%") + " %p"
}

// repositoryDir gives the directory of a repository that is one, else "".
func repositoryDir(url string) string {
	if path, ok := strings.CutPrefix(url, "file://"); ok {
		return path
	}
	if strings.Contains(url, "://") {
		return ""
	}
	return url
}
