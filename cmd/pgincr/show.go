package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/repo"
)

type showCommand struct {
	jsonFlag `embed:""`

	Backup string `arg:"" placeholder:"ID" help:"An id, latest or latest-full."`
}

// Run implements the command.
func (c *showCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	m, err := findBackup(ctx, cluster, c.Backup)
	if err != nil {
		return err
	}
	if c.JSON {
		return p.printJSON(m)
	}
	chain, err := cluster.Chain(ctx, m)
	if err != nil {
		p.log.Warn("the chain is not whole", "cause", err.Error())
	}
	return p.printTable(showRows(m, chain))
}

// showRows are the lines of show.
func showRows(m *repo.Manifest, chain []*repo.Manifest) []string {
	var ids []string
	for _, b := range chain {
		ids = append(ids, b.ID)
	}
	rows := []string{
		"id\t" + m.ID,
		"cluster\t" + fmt.Sprintf("%s, system identifier %d", m.Cluster, m.SystemIdentifier),
		"type\t" + typeText(m),
	}
	add := func(key, value string) {
		if value != "" {
			rows = append(rows, key+"\t"+value)
		}
	}
	add("full because", m.FullReason)
	if m.CompactedFrom != "" {
		add("compacted", fmt.Sprintf("from %s, %s", m.CompactedFrom, human.Time(m.CompactedAt)))
	}
	add("chain", strings.Join(ids, " → "))
	add("status", m.Status)
	add("started", human.Time(m.StartedAt))
	add("finished", fmt.Sprintf("%s, after %s", human.Time(m.FinishedAt), durationText(m.FinishedAt.Sub(m.StartedAt))))
	if m.Type == repo.TypeIncremental {
		add("page map", pageMapText(m))
	}
	add("pages", pagesText(m))
	add("size", sizeText(m))
	add("WAL", walText(m))
	add("needs WAL", strings.Join(m.WAL.Segments, " "))
	add("server", fmt.Sprintf("PostgreSQL %s, %s", versionText(m.PGVersion), roleText(m)))
	add("data directory", m.DataDirectory)
	for _, t := range m.Tablespaces {
		add("tablespace", fmt.Sprintf("%d %s", t.OID, t.Path))
	}
	add("checksums", map[bool]string{true: "on", false: "off"}[m.ChecksumVersion != 0])
	add("compression", m.Compression)
	for _, key := range slices.Sorted(maps.Keys(m.Annotations)) {
		add("annotation", key+"="+m.Annotations[key])
	}
	for i, c := range m.CorruptPages {
		if i == maxCorruptListed {
			add("corrupt page", fmt.Sprintf("and %d more; --json has them all", len(m.CorruptPages)-i))
			break
		}
		add("corrupt page", fmt.Sprintf("%s block %d: %s", c.Path, c.Block, c.Cause))
	}
	for _, w := range m.Warnings {
		add("warning", w)
	}
	add("taken by", "pgincr "+m.Version)
	return rows
}

// versionText prints server_version_num as people know it.
func versionText(v int) string {
	if v%10000 == 0 {
		return fmt.Sprint(v / 10000)
	}
	return fmt.Sprintf("%d.%d", v/10000, v%10000)
}

func roleText(m *repo.Manifest) string {
	if m.FromStandby {
		return "standby"
	}
	return "primary"
}
