package main

import (
	"context"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

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
