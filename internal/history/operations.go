package history

// operation is one way to go on.
type operation struct {
	name   string
	weight int
	// alone: not while a backup is being taken
	alone bool
	// propose gives a step, or false when there is nothing to do it to.
	propose func(*Generator) (Step, bool)
}

// operations are all of them, with how likely each one is.
func operations() []operation {
	return []operation{
		{"create table", 8, false, always((*Generator).createTable)},
		{"create table as", 2, false, (*Generator).createTableAs},
		{"create index", 8, false, (*Generator).createIndex},
		{"drop index", 1, false, (*Generator).dropIndex},
		{"insert", 14, false, (*Generator).insert},
		{"copy", 8, false, (*Generator).copyIn},
		{"fill to a boundary", 2, false, (*Generator).fillToBoundary},
		{"update", 12, false, (*Generator).update},
		{"delete", 12, false, (*Generator).delete},
		{"delete the tail and vacuum", 8, false, (*Generator).shrink},
		{"lock rows", 3, false, (*Generator).lockRows},
		{"read", 10, false, (*Generator).read},
		{"vacuum", 12, false, (*Generator).vacuum},
		{"vacuum full", 3, false, (*Generator).vacuumFull},
		{"vacuum the database", 2, false, (*Generator).vacuumDatabase},
		{"truncate", 4, false, (*Generator).truncate},
		{"drop table", 4, false, (*Generator).dropTable},
		{"cluster", 2, false, (*Generator).clusterTable},
		{"rewrite", 2, false, (*Generator).rewrite},
		{"reindex", 4, false, (*Generator).reindex},
		{"set tablespace", 3, false, (*Generator).setTablespace},
		{"set logged", 4, false, (*Generator).setLogged},
		{"truncate the visibility map", 1, false, (*Generator).truncateVisibilityMap},
		{"look after an index", 3, false, (*Generator).maintainIndex},
		{"catalog", 3, false, (*Generator).catalog},
		{"rewrite a catalog", 3, false, (*Generator).rewriteCatalog},
		{"sequence", 5, false, (*Generator).sequence},
		{"large object", 3, false, (*Generator).largeObject},
		{"abort", 5, false, (*Generator).abort},
		{"fail", 2, false, (*Generator).fail},
		{"subtransactions", 3, false, (*Generator).subtransactions},
		{"prepare", 3, false, (*Generator).prepare},
		{"finish prepared", 4, false, (*Generator).finishPrepared},
		{"open transaction", 3, false, (*Generator).openTransaction},
		{"temporary table", 2, false, (*Generator).temporaryTable},
		{"end session", 3, false, (*Generator).endSession},
		{"create database", 3, false, (*Generator).createDatabase},
		{"drop database", 2, false, (*Generator).dropDatabase},
		{"recreate database", 2, false, (*Generator).recreateDatabase},
		{"move database", 3, false, (*Generator).moveDatabase},
		{"rename database", 1, false, (*Generator).renameDatabase},
		{"create tablespace", 1, false, always((*Generator).newTablespaceInPlace)},
		{"drop tablespace", 1, false, (*Generator).dropTablespace},
		{"checkpoint", 8, false, always((*Generator).checkpoint)},
		{"switch WAL", 4, false, always((*Generator).switchWAL)},
		{"large record", 2, false, always((*Generator).largeRecord)},
		{"write a file", 2, true, always((*Generator).writeFile)},
		{"crash", 5, true, always((*Generator).crash)},
		{"restart", 4, true, always((*Generator).restart)},
		{"switch checksums", 1, true, (*Generator).switchChecksums},
		{"fail over", 2, true, (*Generator).failOver},
		{"recover", 1, true, (*Generator).recover},
		{"rewind", 2, true, (*Generator).rewind},
		{"interrupt a backup", 2, true, (*Generator).interrupt},
	}
}

// always makes an operation of one that can always be done.
func always(propose func(*Generator) Step) func(*Generator) (Step, bool) {
	return func(g *Generator) (Step, bool) { return propose(g), true }
}

// Operation gives a random operation; with load, one that may happen while a backup is being taken.
func (g *Generator) Operation(load bool) Step {
	all := operations()
	total := 0
	for _, o := range all {
		total += o.weight
	}
	for {
		n := g.rng.IntN(total)
		i := 0
		for ; n >= all[i].weight; i++ {
			n -= all[i].weight
		}
		o := all[i]
		if o.alone && (load || !g.begun) {
			continue
		}
		if s, ok := o.propose(g); ok {
			if s.Op == "" {
				s.Op = o.name
			}
			return s
		}
	}
}

// sql makes a step of statements in the database of a table.
func sql(db string, statements ...string) Step { return Step{Kind: SQL, DB: db, SQL: statements} }

// then says what the step changes in the model.
func (s Step) then(apply func()) Step {
	s.apply = apply
	return s
}

// refusable says that the server may refuse the step's last statement.
func (s Step) refusable() Step {
	s.Refusal = true
	return s
}

// freeTable gives a table that no open transaction has, or nil.
func (g *Generator) freeTable() *table {
	return g.tableThat(func(t *table) bool { return !t.busy })
}

func (g *Generator) tableThat(ok func(*table) bool) *table {
	var fit []*table
	for _, t := range g.state.tables {
		if ok(t) {
			fit = append(fit, t)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[g.rng.IntN(len(fit))]
}

// someDatabase gives the name of one.
func (g *Generator) someDatabase() string {
	return g.state.databases[g.rng.IntN(len(g.state.databases))].name
}

// number gives one that was not given before.
func (g *Generator) number() int {
	g.state.next++
	return g.state.next
}
