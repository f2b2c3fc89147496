package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/internal/durable"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/report"
)

type reportCommand struct {
	connectionFlags `embed:"" group:"connection"`

	Output    string `short:"o" required:"" placeholder:"FILE" help:"HTML file to write, replacing one that is there."`
	Changes   int    `placeholder:"N" default:"60" help:"Newest incremental backups that are searched for what changes most (default: ${default})."`
	Relations int    `placeholder:"N" default:"30" help:"Most relations to show (default: ${default})."`
	Names     bool   `help:"Ask the server for the names of databases and relations; -d, -h, -p and -U on the command line do so, too."`

	connecting bool // a flag of the connection is on the command line
}

// Help is shown below the summary.
func (*reportCommand) Help() string {
	return "The page needs nothing but itself: it can be mailed, or kept with a ticket. It shows the chain over time, " +
		"sizes, change rates, which relations change most and where in them, what can be restored, " +
		"gaps in the archived WAL, and drills."
}

// Validate is called by kong.
func (c *reportCommand) Validate(kctx *kong.Context) error {
	if c.Changes < 0 || c.Relations < 0 {
		return errors.New("--changes and --relations: must not be negative")
	}
	c.connecting = connectionGiven(kctx)
	return nil
}

// Run implements the command.
func (c *reportCommand) Run(ctx context.Context, p *program) error {
	st, err := p.openStore(ctx)
	if err != nil {
		return err
	}
	cluster, err := p.openReadable(ctx) // history files are WAL
	if err != nil {
		return err
	}
	d, err := report.Collect(ctx, st, cluster, report.Options{
		Made: p.clock(), Incremental: c.Changes, Relations: c.Relations,
	})
	if err != nil {
		return err
	}
	if c.Names || c.connecting {
		if err := c.name(ctx, p, d); err != nil {
			return err
		}
	}
	if err := durable.WriteFile(c.Output, 0o644, d.Render); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	p.log.Info("report written", "file", c.Output)
	return nil
}

// name asks the server how the relations are called.
func (c *reportCommand) name(ctx context.Context, p *program, d *report.Data) error {
	wanted := make([]pg.RelFileLocator, len(d.Relations))
	for i, r := range d.Relations {
		wanted[i] = r.Locator
	}
	names, err := lookUpNames(ctx, p, c.config(), d.Cluster, wanted)
	if err != nil {
		return err
	}
	for i, r := range d.Relations {
		if name := names.Relations[r.Locator]; name != "" {
			if db := names.Databases[r.Locator.DB]; db != "" {
				name = db + ": " + name
			}
			d.Relations[i].Name = name
		}
	}
	return nil
}
