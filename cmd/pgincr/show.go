package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/repo"
)

type showCommand struct {
	jsonFlag `embed:""`

	Backup  string `arg:"" placeholder:"ID" help:"An id, latest or latest-full."`
	Page    string `placeholder:"FILE:BLOCK" help:"Show one page as it is in this backup: base/5/16384:0, or 1663/5/16384_vm:0; the block is that of the fork."`
	Extract string `placeholder:"PATH" help:"Write one file as it is in this backup, base/5/16384 for example, to --output."`
	Output  string `short:"o" placeholder:"FILE" help:"With --extract: file to write, which must not exist."`
}

// Help is shown below the summary.
func (*showCommand) Help() string {
	return "With --page only the page's frame is read, wherever in the chain it is; exit code 3 says that its " +
		"checksum is wrong."
}

// Validate is called by kong.
func (c *showCommand) Validate(*kong.Context) error {
	switch {
	case c.Page != "" && c.Extract != "":
		return errors.New("--page, --extract: cannot be used together")
	case c.Extract != "" && c.Output == "":
		return errors.New("--extract: needs --output")
	case c.Extract == "" && c.Output != "":
		return errors.New("--output: needs --extract")
	}
	return nil
}

// Run implements the command.
func (c *showCommand) Run(ctx context.Context, p *program) error {
	open := p.openCluster
	if c.Page != "" || c.Extract != "" {
		open = p.openReadable
	}
	cluster, err := open(ctx)
	if err != nil {
		return err
	}
	m, err := findBackup(ctx, cluster, c.Backup)
	switch {
	case err != nil:
		return err
	case c.Page != "":
		return c.showPage(ctx, p, cluster, m)
	case c.Extract != "":
		return c.extract(ctx, p, cluster, m)
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
	if m.TakenOver != nil {
		add("taken over", takenOverText(m.TakenOver))
	}
	add("WAL", walText(m))
	add("needs WAL", strings.Join(m.WAL.Segments, " "))
	add("server", fmt.Sprintf("PostgreSQL %s, %s", versionText(m.PGVersion), roleText(m)))
	add("data directory", m.DataDirectory)
	add("databases", strings.Join(databaseNames(m.Databases), ", "))
	for _, text := range configurationTexts(m) {
		add("configuration", text)
	}
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

func databaseNames(all []repo.Database) (names []string) {
	for _, d := range all {
		names = append(names, d.Name)
	}
	return names
}
