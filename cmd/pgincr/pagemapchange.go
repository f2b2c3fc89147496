package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// change is what a page map holds of one fork of a relation or, without a relation, that a database was
// created, copied or dropped as files in one tablespace.
type change struct {
	Tablespace   pg.OID              `json:"tablespace"`
	Database     pg.OID              `json:"database"` // 0: shared
	DatabaseName string              `json:"database_name,omitempty"`
	Relation     pg.RelFileNumber    `json:"relation,omitempty"` // number of its file
	Fork         string              `json:"fork,omitempty"`
	Name         string              `json:"name,omitempty"`
	Limit        *pg.BlockNumber     `json:"limit,omitempty"` // smallest length in blocks that it had
	Whole        bool                `json:"whole,omitempty"`
	Blocks       int                 `json:"blocks"` // referenced ones
	Runs         [][2]pg.BlockNumber `json:"runs"`   // of them: first and count
}

// changesOf unfolds a map: the databases, then the forks, those with the most blocks first.
func changesOf(m *pagemap.Map) []*change {
	databases, forks := []*change{}, []*change{}
	for spc, db := range m.Databases() {
		databases = append(databases, &change{Tablespace: spc, Database: db, Whole: true, Runs: [][2]pg.BlockNumber{}})
	}
	for rf, ch := range m.All() {
		c := &change{
			Tablespace: rf.Spc, Database: rf.DB, Relation: rf.Rel, Fork: rf.Fork.String(),
			Whole: ch.Whole, Runs: [][2]pg.BlockNumber{},
		}
		if ch.Limit != pagemap.NoLimit {
			c.Limit = &ch.Limit
		}
		if ch.Blocks != nil {
			c.Blocks = ch.Blocks.Len()
			for first, count := range ch.Blocks.Runs(0, pg.InvalidBlock) {
				c.Runs = append(c.Runs, [2]pg.BlockNumber{first, count})
			}
		}
		forks = append(forks, c)
	}
	slices.SortStableFunc(forks, func(a, b *change) int { return cmp.Compare(b.Blocks, a.Blocks) })
	return append(databases, forks...)
}

// name asks the server how databases and relations are called, if that is wanted.
func (c *pagemapShowCommand) name(ctx context.Context, p *program, cluster *repo.Cluster, changes []*change) error {
	if !c.Names && !c.connecting {
		return nil
	}
	var wanted []pg.RelFileLocator
	for _, ch := range changes {
		if ch.Relation != 0 && ch.Fork == pg.MainFork.String() {
			wanted = append(wanted, ch.locator())
		}
	}
	names, err := lookUpNames(ctx, p, c.config(), cluster.Info, wanted)
	if err != nil {
		return err
	}
	for _, ch := range changes {
		ch.DatabaseName = names.Databases[ch.Database]
		ch.Name = names.Relations[ch.locator()]
	}
	return nil
}

func (c *change) locator() pg.RelFileLocator {
	return pg.RelFileLocator{Spc: c.Tablespace, DB: c.Database, Rel: c.Relation}
}

// sumText counts what a map holds.
func sumText(changes []*change) string {
	relations := map[pg.RelFileLocator]bool{}
	databases, blocks := 0, 0
	for _, c := range changes {
		blocks += c.Blocks
		if c.Relation == 0 {
			databases++
		} else {
			relations[c.locator()] = true
		}
	}
	s := fmt.Sprintf("%d blocks of %d relations", blocks, len(relations))
	if databases > 0 {
		s += fmt.Sprintf(", %d databases as a whole", databases)
	}
	return s
}

// maxRunsPrinted bounds a line; --json has them all.
const maxRunsPrinted = 8

// printChanges prints a line for each change.
func (p *program) printChanges(changes []*change) error {
	if len(changes) == 0 {
		return nil
	}
	rows := []string{"DATABASE\tRELATION\tFORK\tBLOCKS\tLIMIT\tRUNS"}
	for _, c := range changes {
		limit := "-"
		switch {
		case c.Whole:
			limit = "whole"
		case c.Limit != nil:
			limit = strconv.FormatUint(uint64(*c.Limit), 10)
		}
		rows = append(rows, strings.Join([]string{
			c.databaseText(), c.relationText(), orDash(c.Fork), strconv.Itoa(c.Blocks), limit, c.runsText(),
		}, "\t"))
	}
	return p.printTable(rows)
}

func (c *change) databaseText() string {
	switch {
	case c.DatabaseName != "":
		return c.DatabaseName
	case c.Database == 0:
		return "-"
	}
	return strconv.FormatUint(uint64(c.Database), 10)
}

func (c *change) relationText() string {
	switch {
	case c.Relation == 0:
		return fmt.Sprintf("all in tablespace %d", c.Tablespace)
	case c.Name != "":
		return c.Name
	}
	return pg.RelFork{RelFileLocator: c.locator()}.String()
}

func (c *change) runsText() string {
	var words []string
	for i, r := range c.Runs {
		if i == maxRunsPrinted {
			words = append(words, fmt.Sprintf("… and %d more", len(c.Runs)-i))
			break
		}
		word := strconv.FormatUint(uint64(r[0]), 10)
		if r[1] > 1 {
			word += fmt.Sprintf("-%d", uint64(r[0])+uint64(r[1])-1)
		}
		words = append(words, word)
	}
	return orDash(strings.Join(words, " "))
}
