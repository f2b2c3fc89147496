package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/pkg/check"
)

// run is the whole program: it parses args, does the command, and gives the exit code of docs/cli.md.
func run(args []string, stdout, stderr io.Writer) (code int) {
	p := newProgram(stdout, stderr)
	recovery := calls(args, "archive-get")
	if recovery {
		// A crash of the Go runtime exits with 2, which a recovering server takes for
		// the end of WAL. This makes it a signal, which it does not.
		debug.SetTraceback("crash")
	}
	defer func() {
		if v := recover(); v != nil {
			p.console.printf("pgincr: error: internal error: %v\n%s", v, debug.Stack())
			code = exitCode(errInternal, recovery)
		}
	}()
	ctx, stop := interruptible(signals(args)...)
	defer stop()
	return exitCode(p.do(ctx, args), recovery)
}

// do parses and runs, and prints the error if there is one.
func (p *program) do(ctx context.Context, args []string) error {
	p.args = args
	var g grammar
	parser, err := newParser(&g, p)
	if err != nil {
		p.printError(err)
		return err
	}
	parsed, err := parser.Parse(args)
	if errors.Is(err, errHelpShown) {
		return nil
	}
	p.common = &g.commonFlags
	p.setLog()
	if err == nil {
		err = p.common.verify(parsed)
	}
	if err != nil {
		err = usageFrom(err)
	} else {
		parsed.BindTo(ctx, (*context.Context)(nil))
		err = p.perform(ctx, parsed)
	}
	var status *statusError
	switch {
	case errors.As(err, &status):
	case errors.Is(err, errNotArchived): // an answer, asked for at the end of every recovery
		p.log.Info(err.Error())
	case err != nil:
		p.printError(err)
	}
	return err
}

// newParser builds the parser of the grammar. It exits nobody and prints only to the program's writers.
func newParser(g *grammar, p *program) (*kong.Kong, error) {
	return kong.New(g,
		kong.Name("pgincr"),
		kong.Description("Full and incremental physical backups of PostgreSQL, and fast restores of their chains."),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) {}),
		kong.NoDefaultHelp(),
		kong.ConfigureHelp(kong.HelpOptions{
			Compact: true, FlagsLast: true, WrapUpperBound: 110, NoExpandSubcommands: true,
		}),
		kong.ExplicitGroups(flagGroups()),
		kong.PostBuild(func(k *kong.Kong) error {
			// Makes kong's help mention --help where it would with its own flag.
			i := slices.IndexFunc(k.Model.Flags, func(f *kong.Flag) bool { return f.Name == "help" })
			k.Model.HelpFlag = k.Model.Flags[i]
			return nil
		}),
	)
}

// signals gives those that end a command in good order. At an immediate stop PostgreSQL sends SIGQUIT to
// what it runs, too; Go's answer to it would fill the server's log.
func signals(args []string) []os.Signal {
	all := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
	if calls(args, "archive-push") || calls(args, "archive-get") {
		all = append(all, syscall.SIGQUIT)
	}
	return all
}

// interruptible gives a context that the first of some signals cancels. The second one kills, because by then
// their default is back. Who ignores a signal (nohup, a background job) goes on ignoring it.
func interruptible(signals ...os.Signal) (context.Context, context.CancelFunc) {
	signals = slices.DeleteFunc(signals, signal.Ignored)
	if len(signals) == 0 {
		return context.WithCancel(context.Background())
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// calls says whether these are arguments of a command, even where they do not parse.
func calls(args []string, command string) bool {
	end := slices.Index(args, "--")
	if end < 0 {
		end = len(args)
	}
	return slices.Contains(args[:end], command)
}

// program is what every command is given besides its own flags.
type program struct {
	args           []string
	stdout, stderr io.Writer
	console        *console
	common         *commonFlags
	log            *logger
	clock          func() time.Time
	clusters       []openedCluster  // for metrics: the one of each repository that was opened last
	document       *json.RawMessage // where printJSON keeps what becomes a part of a document; nil: it prints
	sendRate       rate             // 0: no limit
	began          time.Time        // of the newest backup, by its id
	results        []string         // for hooks: NAME=value
	part           int              // number of the one of several repositories in which the command is done; 0: no such
	checked        []check.Finding  // for metrics
}

func newProgram(stdout, stderr io.Writer) *program {
	p := &program{stdout: stdout, stderr: stderr, clock: time.Now, common: &commonFlags{}}
	p.console = newConsole(stderr)
	p.setLog()
	return p
}

// printf writes results; an error of the writer (a closed pipe) is that of the command.
func (p *program) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(p.stdout, format, args...)
	return err
}
