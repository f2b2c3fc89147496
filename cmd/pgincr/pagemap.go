package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

type pagemapCommand struct {
	Show  pagemapShowCommand  `cmd:"" help:"List the stored page maps, or print what one of them holds."`
	Build pagemapBuildCommand `cmd:"" help:"Make the page maps that archived WAL segments lack."`
}

type pagemapShowCommand struct {
	jsonFlag `embed:""`

	Name string `arg:"" optional:"" placeholder:"NAME" help:"A map: the name of a WAL segment, or of two with a hyphen between (default: list them)."`
}

// pagemapDocument is what pagemap show NAME --json prints.
type pagemapDocument struct {
	Name             string            `json:"name"`
	SystemIdentifier uint64            `json:"system_identifier,string"`
	StartLSN         pg.LSN            `json:"start_lsn"`
	EndLSN           pg.LSN            `json:"end_lsn"`
	Databases        []changedDatabase `json:"databases"` // created, copied or dropped as files
	Forks            []changedFork     `json:"forks"`
	Findings         []string          `json:"findings"` // reasons not to rely on it
}

type changedDatabase struct {
	Tablespace pg.OID `json:"tablespace"`
	Database   pg.OID `json:"database"`
}

// changedFork is one fork of a relation: its blocks as [first, count] runs, and the smallest length it had.
type changedFork struct {
	Relation string              `json:"relation"` // tablespace/database/file, and the fork unless main
	Limit    *pg.BlockNumber     `json:"limit,omitempty"`
	Count    int                 `json:"count"`
	Runs     [][2]pg.BlockNumber `json:"runs"`
}

// Run implements the command.
func (c *pagemapShowCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	archive := cluster.WAL(repo.Compression{})
	if c.Name == "" {
		return c.list(ctx, p, archive)
	}
	data, err := archive.GetMap(ctx, c.Name)
	if errors.Is(err, repo.ErrNotFound) {
		return fmt.Errorf("page map %s: there is none in cluster %q", c.Name, p.common.Cluster)
	}
	if err != nil {
		return err
	}
	m, err := wal.DecodeSegmentMap(data)
	if err != nil {
		return fmt.Errorf("page map %s: %w", c.Name, err)
	}
	d := describeMap(c.Name, m)
	if c.JSON {
		return p.printJSON(d)
	}
	return p.printMap(d)
}

// list prints the names of the stored maps.
func (c *pagemapShowCommand) list(ctx context.Context, p *program, archive *repo.WALArchive) error {
	names, err := archive.ListMaps(ctx)
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

// describeMap unfolds a map.
func describeMap(name string, m *wal.SegmentMap) pagemapDocument {
	d := pagemapDocument{
		Name: name, SystemIdentifier: m.SystemIdentifier, StartLSN: m.Start, EndLSN: m.End,
		Databases: []changedDatabase{}, Forks: []changedFork{}, Findings: []string{},
	}
	for spc, db := range m.Pages.Databases() {
		d.Databases = append(d.Databases, changedDatabase{spc, db})
	}
	for rf, ch := range m.Pages.All() {
		f := changedFork{Relation: rf.String(), Runs: [][2]pg.BlockNumber{}}
		if ch.Limit <= pg.MaxBlock {
			limit := ch.Limit
			f.Limit = &limit
		}
		if ch.Blocks != nil {
			f.Count = ch.Blocks.Len()
			for first, count := range ch.Blocks.Runs(0, pg.MaxBlock) {
				f.Runs = append(f.Runs, [2]pg.BlockNumber{first, count})
			}
		}
		d.Forks = append(d.Forks, f)
	}
	for _, f := range m.Findings {
		d.Findings = append(d.Findings, f.Reason)
	}
	return d
}

func (p *program) printMap(d pagemapDocument) error {
	rows := []string{
		fmt.Sprintf("map\t%s, WAL %s to %s", d.Name, d.StartLSN, d.EndLSN),
	}
	for _, f := range d.Findings {
		rows = append(rows, "finding\t"+f)
	}
	for _, db := range d.Databases {
		rows = append(rows, fmt.Sprintf("database\t%d/%d as a whole", db.Tablespace, db.Database))
	}
	for _, f := range d.Forks {
		text := fmt.Sprintf("%d blocks", f.Count)
		for i, r := range f.Runs {
			if i == maxRunsPrinted {
				text += fmt.Sprintf(" … (%d more runs)", len(f.Runs)-i)
				break
			}
			text += fmt.Sprintf(" %d", r[0])
			if r[1] > 1 {
				text += fmt.Sprintf("-%d", r[0]+r[1]-1)
			}
		}
		if f.Limit != nil {
			text += fmt.Sprintf("; was as short as %d blocks", *f.Limit)
		}
		rows = append(rows, f.Relation+"\t"+text)
	}
	return p.printTable(rows)
}

// maxRunsPrinted bounds a line; --json has them all.
const maxRunsPrinted = 12

type pagemapBuildCommand struct {
	jsonFlag `embed:""`
}

// Help is shown below the summary.
func (*pagemapBuildCommand) Help() string {
	return "archive-push makes the map of each segment it stores. This makes those that are missing, " +
		"with all workers, and joins the maps of neighbours, which makes incrementals over long ranges quick. " +
		"Exit code 3 says that a segment cannot be mapped."
}

// Run implements the command.
func (c *pagemapBuildCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	built, err := wal.BuildMaps(ctx, wal.MapsRequest{
		SystemIdentifier: cluster.Info.SystemIdentifier,
		Geometry:         cluster.Info.Geometry,
		Archive:          cluster.WAL(repo.Compression{Codec: repo.CodecZstd}),
		Jobs:             p.common.jobs(),
	})
	if err != nil {
		return err
	}
	if err := c.report(p, built); err != nil {
		return err
	}
	if n := len(built.Unmapped); n > 0 {
		return findings("cluster %q: %d archived segments have no page map", p.common.Cluster, n)
	}
	return nil
}

func (c *pagemapBuildCommand) report(p *program, built *wal.MapsBuilt) error {
	type unmapped struct {
		Name   string `json:"name"`
		Reason string `json:"reason"`
	}
	list := []unmapped{}
	for _, u := range built.Unmapped {
		list = append(list, unmapped{u.Name, u.Reason})
		p.log.Warn("no page map", "segment", u.Name, "reason", u.Reason)
	}
	if c.JSON {
		return p.printJSON(struct {
			Segments int        `json:"segments"`
			Made     int        `json:"made"`
			Runs     int        `json:"runs_made"`
			Unmapped []unmapped `json:"unmapped"`
		}{built.Segments, built.Made, built.Runs, list})
	}
	if p.common.Quiet {
		return nil
	}
	return p.printf("%d archived segments: %d maps made, and %d of runs of segments\n",
		built.Segments, built.Made, built.Runs)
}
