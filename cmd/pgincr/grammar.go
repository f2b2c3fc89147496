package main

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// grammar is the command line. The commands' fields are their flags.
type grammar struct {
	commonFlags `embed:"" group:"common"`

	Init        initCommand        `cmd:"" help:"Create the repository entry of one cluster."`
	Backup      backupCommand      `cmd:"" help:"Take a full or incremental backup of a running cluster."`
	Restore     restoreCommand     `cmd:"" help:"Write a data directory from a backup and what it is built on."`
	List        listCommand        `cmd:"" help:"List the backups of a cluster."`
	Show        showCommand        `cmd:"" help:"Show one backup."`
	Verify      verifyCommand      `cmd:"" help:"Prove that backups can be restored, without restoring them."`
	Check       checkCommand       `cmd:"" help:"Look whether everything is set up so that a restore will work."`
	Compact     compactCommand     `cmd:"" help:"Turn a chain into one full backup inside the repository."`
	Expire      expireCommand      `cmd:"" help:"Remove backups that no rule keeps, and the WAL that no backup needs."`
	Pin         pinCommand         `cmd:"" help:"Keep a backup until it is unpinned."`
	Unpin       unpinCommand       `cmd:"" help:"Let expire remove a backup again."`
	Drill       drillCommand       `cmd:"" help:"Rehearse a restore: recover on a scratch server, check, measure, clean up."`
	Mount       mountCommand       `cmd:"" help:"Show a backup as a read-only data directory, without restoring it."`
	ArchivePush archivePushCommand `cmd:"" name:"archive-push" help:"Store a WAL file and its page map: for archive_command."`
	ArchiveGet  archiveGetCommand  `cmd:"" name:"archive-get" help:"Fetch a WAL file: for restore_command."`
	ReceiveWAL  receiveCommand     `cmd:"" name:"receive-wal" help:"Stream WAL through a replication slot, instead of an archive_command."`
	Key         keyCommand         `cmd:"" help:"Manage the keys of an encrypted cluster."`
	Pagemap     pagemapCommand     `cmd:"" help:"Look at page maps, or make those that are missing."`
	Report      reportCommand      `cmd:"" help:"Draw the backups of a cluster on one HTML page."`
	ShowConfig  configCommand      `cmd:"" name:"config" help:"Show where the values of flags come from."`
	Demo        demoCommand        `cmd:"" help:"Show it all on a throwaway cluster: backups under load, restore, comparison."`
	Version     versionCommand     `cmd:"" help:"Show the version of pgincr and of the formats it knows."`
	Completion  completionCommand  `cmd:"" help:"Print the completion script of a shell."`
}

// commonFlags are accepted by every command.
type commonFlags struct {
	Repos     []string   `name:"repo" short:"R" sep:"\n" placeholder:"URL" env:"PGINCR_REPO" help:"Repository: /path, s3://bucket/prefix, gs://bucket/prefix, azblob://container/prefix or sftp://user@host/path (docs/storage.md); may be repeated, so that there are several."`
	Repo      string     `kong:"-"` // the one of them that is worked in
	Cluster   string     `placeholder:"NAME" env:"PGINCR_CLUSTER" default:"main" help:"Which cluster in the repository (default: ${default})."`
	Config    configFile `placeholder:"FILE" env:"PGINCR_CONFIG" help:"Configuration file (YAML). Order: flag, environment, file, default."`
	Jobs      int        `short:"j" placeholder:"N" env:"PGINCR_JOBS" help:"Parallel workers (default: the number of CPUs)."`
	Progress  bool       `short:"P" help:"Show progress: a bar on a terminal, otherwise a line every few seconds."`
	Quiet     bool       `short:"q" help:"Print warnings and errors only; goes before --verbose."`
	Verbose   bool       `short:"v" help:"Print more."`
	LogFormat string     `placeholder:"FORMAT" enum:"text, json" default:"text" help:"Messages on stderr as ${enum} (default: ${default})."`
	keyFlags  `embed:""`

	MetricsFile string `placeholder:"FILE" env:"PGINCR_METRICS_FILE" help:"File for Prometheus' node exporter that commands which do work replace, *.prom in its textfile directory."`
	HookBefore  string `placeholder:"COMMAND" help:"Shell command that runs before such a command, and keeps it from running by failing."`
	HookAfter   string `placeholder:"COMMAND" help:"Shell command that runs after it, whatever came of it, with the outcome in PGINCR_* variables."`

	Help helpFlag `short:"?" help:"Show help and exit."`
}

// flagGroups divide the flags in help texts.
func flagGroups() []kong.Group {
	return []kong.Group{
		{Key: "connection", Title: "Connection flags:", Description: "Also by PG* variables, " +
			"service file and ~/.pgpass, as with psql."},
		{Key: "target", Title: "Recovery target flags:"},
		{Key: "common", Title: "Common flags:"},
	}
}

// verify holds the rules across common flags, and that commands which use a repository have one.
func (c *commonFlags) verify(parsed *kong.Context) error {
	if c.Jobs < 0 {
		return &usageError{err: errors.New("--jobs: must not be negative"), command: "pgincr"}
	}
	c.Repos = slices.DeleteFunc(c.Repos, func(url string) bool { return url == "" }) // an empty variable
	if len(c.Repos) > 0 {
		c.Repo = c.Repos[0]
	}
	if parsed.Selected() == nil || !usesRepository(parsed.Selected()) {
		return nil
	}
	if c.Repo == "" {
		return &usageError{
			err:  errors.New("no repository given"),
			hint: "name it with --repo, PGINCR_REPO or repo: in the configuration file",
		}
	}
	return c.verifySeveral(parsed.Selected())
}

// verifySeveral holds the rules for several repositories.
func (c *commonFlags) verifySeveral(command *kong.Node) error {
	if len(c.Repos) > 1 && spreadOf(command) == inOne {
		return &usageError{
			err:  fmt.Errorf("%s works in one repository, and %d are given", command.FullPath(), len(c.Repos)),
			hint: "name the one that is meant with --repo",
		}
	}
	seen := map[string]bool{}
	for _, url := range c.absoluteRepos() {
		name := repoName(strings.TrimPrefix(url, "file://"))
		if seen[name] {
			return &usageError{err: fmt.Errorf("repository %s: given twice", name)}
		}
		seen[name] = true
	}
	return nil
}

// repoName is a repository's URL without secrets, and of its options only those that say where it is.
func repoName(url string) string {
	name, options, ok := strings.Cut(withoutSecrets(url), "?")
	if !ok || !strings.Contains(url, "://") {
		return withoutSecrets(url)
	}
	var where []string
	for option := range strings.SplitSeq(options, "&") {
		if key, _, _ := strings.Cut(option, "="); key == "endpoint" || key == "account" {
			where = append(where, option)
		}
	}
	if len(where) > 0 {
		name += "?" + strings.Join(where, "&")
	}
	return name
}

// label names a repository where there are several; otherwise it is "".
func (c *commonFlags) label(url string) string {
	if len(c.Repos) < 2 {
		return ""
	}
	return repoName(url)
}

// absoluteRepos gives the repositories in the order given.
func (c *commonFlags) absoluteRepos() []string {
	urls := make([]string, len(c.Repos))
	for i, url := range c.Repos {
		urls[i] = absoluteRepo(url)
	}
	return urls
}

// reposToReadFrom gives them, the one that is worked in first.
func (c *commonFlags) reposToReadFrom() []string {
	urls := c.absoluteRepos()
	this := absoluteRepo(c.Repo)
	return append([]string{this}, slices.DeleteFunc(urls, func(url string) bool { return url == this })...)
}

// jobs gives the number of workers.
func (c *commonFlags) jobs() int {
	if c.Jobs == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return c.Jobs
}

// withoutRepository marks commands that need no repository.
type withoutRepository struct{}

func (withoutRepository) needsNoRepository() {}

func usesRepository(node *kong.Node) bool {
	_, without := node.Target.Addr().Interface().(interface{ needsNoRepository() })
	return !without
}

// jsonFlag is that of commands which report something.
type jsonFlag struct {
	JSON bool `name:"json" help:"Print one JSON document."`
}

// helpFlag prints the help of what the command line names and ends the parsing.
// It is not kong's own, whose short name -h is the host's here, as in PostgreSQL's programs.
type helpFlag bool

// errHelpShown ends the parsing after the help.
var errHelpShown = errors.New("help was shown")

// IgnoreDefault tells kong that only the flag itself counts.
func (helpFlag) IgnoreDefault() {}

// BeforeReset runs before anything is checked.
func (helpFlag) BeforeReset(ctx *kong.Context) error {
	return errors.Join(ctx.PrintUsage(false), errHelpShown)
}
