package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

type pagemapCommand struct {
	Show  pagemapShowCommand  `cmd:"" help:"List the stored page maps, or print what one of them or a range of WAL holds."`
	Build pagemapBuildCommand `cmd:"" help:"Make the page maps that archived WAL segments lack."`
}

type pagemapShowCommand struct {
	connectionFlags `embed:"" group:"connection"`
	jsonFlag        `embed:""`

	Name     string        `arg:"" optional:"" placeholder:"NAME" help:"A map: the name of a WAL segment, or of two with a hyphen between (default: list them)."`
	From     string        `placeholder:"POSITION" help:"Print what changed since this WAL position, or since the start of this backup."`
	To       string        `placeholder:"POSITION" help:"Where the range ends: a WAL position, or the start of a backup (default: the end of the archived WAL)."`
	Timeline pg.TimelineID `placeholder:"N" help:"Timeline on which the range ends (default: that of the backup in --to, else the newest one that --from is on)."`
	PGData   string        `name:"pgdata" short:"D" placeholder:"DIR" help:"Data directory whose pg_wal has what is not archived yet; the default of --to is then its newest checkpoint, if that is later."`
	Names    bool          `help:"Ask the server for the names of databases and relations; -d, -h, -p and -U on the command line do so, too."`

	connecting bool // a flag of the connection is on the command line
}

// Help is shown below the summary.
func (*pagemapShowCommand) Help() string {
	return "A range begins where a record does, as backups do, and ends where one does. " +
		"Relations come with the blocks that WAL references, most of them first; limit is the smallest length that the " +
		"relation had, if it became shorter, and \"whole\" says that nothing of it is as it was before. " +
		"Names are those of today: what was dropped or rewritten since is printed as numbers, tablespace/database/file. " +
		"Exit code 1 says why a range has no complete map."
}

// Validate is called by kong.
func (c *pagemapShowCommand) Validate(kctx *kong.Context) error {
	switch {
	case c.Name != "" && c.From != "":
		return errors.New("--from: does not go with the name of a map")
	case c.From == "" && c.To != "":
		return errors.New("--to: needs --from")
	case c.From == "" && c.Timeline != 0:
		return errors.New("--timeline: needs --from")
	}
	for _, f := range []struct{ name, value string }{{"--from", c.From}, {"--to", c.To}} {
		if _, _, err := parsePosition(f.value); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	c.connecting = connectionGiven(kctx)
	return nil
}

// Run implements the command.
func (c *pagemapShowCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	switch {
	case c.From != "":
		return c.showRange(ctx, p, cluster)
	case c.Name != "":
		return c.showMap(ctx, p, cluster)
	}
	return c.list(ctx, p, cluster.WAL(repo.Compression{}))
}

// list prints the names of the stored maps.
func (c *pagemapShowCommand) list(ctx context.Context, p *program, archive *repo.WALArchive) error {
	names, err := archive.ListMaps(ctx, "")
	if err != nil {
		return err
	}
	if c.JSON {
		return p.printJSON(append([]string{}, names...))
	}
	for _, name := range names {
		if err := p.printf("%s\n", name); err != nil {
			return err
		}
	}
	return nil
}

// pagemapDocument is what pagemap show NAME --json prints.
type pagemapDocument struct {
	Name             string    `json:"name"`
	SystemIdentifier uint64    `json:"system_identifier,string"`
	StartLSN         pg.LSN    `json:"start_lsn"`
	EndLSN           pg.LSN    `json:"end_lsn"`
	Changes          []*change `json:"changes"`
	Findings         []string  `json:"findings"` // reasons not to rely on it
}

// showMap prints a stored map.
func (c *pagemapShowCommand) showMap(ctx context.Context, p *program, cluster *repo.Cluster) error {
	data, err := cluster.WAL(repo.Compression{}).GetMap(ctx, c.Name)
	if errors.Is(err, repo.ErrNotFound) {
		return fmt.Errorf("page map %s: there is none in cluster %q", c.Name, cluster.Info.Name)
	}
	if err != nil {
		return err
	}
	m, err := wal.DecodeSegmentMap(data)
	if err != nil {
		return fmt.Errorf("page map %s: %w", c.Name, err)
	}
	d := pagemapDocument{
		Name: c.Name, SystemIdentifier: m.SystemIdentifier, StartLSN: m.Start, EndLSN: m.End,
		Changes: changesOf(m.Pages), Findings: []string{},
	}
	for _, f := range m.Findings {
		d.Findings = append(d.Findings, f.Reason)
	}
	if err := c.name(ctx, p, cluster, d.Changes); err != nil {
		return err
	}
	if c.JSON {
		return p.printJSON(d)
	}
	if err := p.printf("map %s, WAL %s to %s: %s\n", d.Name, d.StartLSN, d.EndLSN, sumText(d.Changes)); err != nil {
		return err
	}
	for _, f := range d.Findings {
		if err := p.printf("not to be relied on: %s\n", f); err != nil {
			return err
		}
	}
	return p.printChanges(d.Changes)
}

// showRange makes the map of a range and prints it.
func (c *pagemapShowCommand) showRange(ctx context.Context, p *program, cluster *repo.Cluster) error {
	req, err := c.request(ctx, p, cluster)
	if err != nil {
		return err
	}
	built, err := wal.Build(ctx, req)
	if err != nil {
		return err
	}
	changes := changesOf(built.Map)
	if err := c.name(ctx, p, cluster, changes); err != nil {
		return err
	}
	if c.JSON {
		p.log.Info("page map", "from", req.From, "to", req.To, "timeline", req.History.Timeline,
			"segments", built.Segments, "scanned", built.Scanned)
		return p.printJSON(changes)
	}
	err = p.printf("WAL %s to %s of timeline %d, %d segments: %s\n", req.From, req.To, req.History.Timeline,
		built.Segments, sumText(changes))
	if err != nil {
		return err
	}
	return p.printChanges(changes)
}
