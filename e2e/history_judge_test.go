package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/datadiff"
	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// superset checks that the pages that differ by content from the parent are
// all taken by their LSNs, but for hints.
func (p *player) superset(parent *link, byLSN, byHash string) {
	p.t.Helper()
	since := p.startOf(byLSN)
	have, want, before := p.pages(byLSN, false), p.pages(byHash, false), p.pages(parent.ID, true)
	for b, page := range want {
		p.tally.superset++
		if _, ok := have[b]; ok || page.LSN() > since {
			continue
		}
		old, ok := before[b]
		if !ok {
			p.t.Errorf("%s block %d: not in parent %s, nor in %s", b.path, b.blkno, parent.ID, byLSN)
		} else if what := datadiff.PageDifference(page, old); what != "" {
			p.t.Errorf("%s block %d: differs from parent %s and is not in %s: %s",
				b.path, b.blkno, parent.ID, byLSN, what)
		}
	}
	if p.t.Failed() {
		p.t.FailNow()
	}
}

func (p *player) startOf(id string) pg.LSN {
	p.t.Helper()
	for _, l := range p.links {
		if l.ID == id {
			lsn, err := pg.ParseLSN(l.StartLSN)
			if err != nil {
				p.t.Fatal(err)
			}
			return lsn
		}
	}
	p.t.Fatalf("no backup %s", id)
	return 0
}

// pages reads the pages of main forks that a backup stores, or with its chain has.
func (p *player) pages(id string, chain bool) map[block]pg.Page {
	p.t.Helper()
	ctx := p.t.Context()
	check := func(err error) {
		p.t.Helper()
		if err != nil {
			p.t.Fatal(err)
		}
	}
	store, err := repo.OpenStore(ctx, p.repo)
	check(err)
	cluster, err := repo.OpenCluster(ctx, store, "main")
	check(err)
	m, err := cluster.Backup(ctx, id)
	check(err)
	ch, err := cluster.OpenChain(ctx, m)
	check(err)
	defer ch.Close()
	out := map[block]pg.Page{}
	size := int(m.Geometry.BlockSize)
	for f, err := range ch.Files(ctx) {
		check(err)
		rel, ok := pg.ParseRelPath(f.Path)
		if !ok || rel.Fork != pg.MainFork || f.Versions[0].Kind != repo.KindRelation {
			continue
		}
		pieces, zero, err := f.Resolve(m.Geometry)
		check(err)
		for _, run := range zero {
			for i := range run.Count {
				out[block{f.Path, run.First + i}] = make(pg.Page, size)
			}
		}
		for _, piece := range pieces {
			if piece.Depth > 0 && !chain {
				continue
			}
			raw, err := ch.Backups[piece.Depth].ReadFrame(ctx, piece.Frame, nil)
			check(err)
			supplied := map[pg.BlockNumber]bool{}
			for _, run := range piece.Runs {
				for i := range run.Count {
					supplied[run.First+i] = true
				}
			}
			for _, run := range piece.Frame.Runs {
				for i := range run.Count {
					if supplied[run.First+i] {
						out[block{f.Path, run.First + i}] = pg.Page(raw[:size:size])
					}
					raw = raw[size:]
				}
			}
		}
	}
	return out
}

// refer takes a backup with PostgreSQL's own means, and a restore point, of the
// state that a backup was just taken of.
func (p *player) refer(l *link) {
	p.t.Helper()
	p.points++
	l.point = fmt.Sprintf("point%d", p.points)
	p.pg.Exec("SELECT pg_create_restore_point('" + l.point + "')")
	segment := p.pg.Query1("SELECT pg_walfile_name(pg_switch_wal())")
	p.test.Run("reference-"+l.ID, func(t *testing.T) {
		p := p.in(t)
		want := p.contents(p.openReference())
		l.want = &want
	})
	if l.want == nil {
		p.t.FailNow()
	}
	l.before = p.usable()
	l.judge = p.points == 1 || p.rng.IntN(3) == 0
	p.pg.Poll("the archiving of "+segment, func() bool {
		return p.pg.Query1("SELECT coalesce(last_archived_wal >= '"+segment+"', false) FROM pg_stat_archiver") == "t"
	})
	p.tally.references++
}

// contents reads what a cluster holds.
func (p *player) contents(cl *pgtest.Cluster) reference {
	p.t.Helper()
	return reference{dump: p.settle(cl) + cl.Dump(), sums: cl.TableSums()}
}

// settle finishes prepared transactions, every second one by committing it: they would keep
// their tables locked. It tells which there were.
func (p *player) settle(cl *pgtest.Cluster) string {
	p.t.Helper()
	var held strings.Builder
	for i, row := range cl.Rows("SELECT gid, database FROM pg_prepared_xacts ORDER BY gid") {
		fmt.Fprintf(&held, "-- prepared: %s in %s\n", row[0], row[1])
		how := []string{"COMMIT", "ROLLBACK"}[i%2]
		cl.ExecIn(row[1], how+" PREPARED '"+row[0]+"'")
	}
	return held.String()
}

// withoutSequences leaves out the values of sequences. Replay puts them ahead, by
// what was logged in advance.
func (r reference) withoutSequences() reference {
	var out strings.Builder
	for line := range strings.Lines(r.dump) {
		if !strings.HasPrefix(line, "SELECT pg_catalog.setval(") {
			out.WriteString(line)
		}
	}
	return reference{dump: out.String(), sums: r.sums}
}

// openReference starts what pg_basebackup makes of the source.
func (p *player) openReference() *pgtest.Cluster {
	p.t.Helper()
	dir := pgtest.TempDir(p.t) + "/reference"
	args := append([]string{"-D", dir, "-c", "fast", "-X", "stream"}, p.elsewhere()...)
	p.pg.Tool("pg_basebackup", args...)
	return p.open(dir)
}

// atTheEnd restores backups of the whole history once more and compares them
// with what they were.
func (p *player) atTheEnd() {
	p.t.Helper()
	p.stop(true)
	p.ok("verify")
	var compared, loaded []*link
	for _, l := range p.links {
		if l.want != nil {
			p.sub("contents-"+l.ID, func(p *player) { p.judgeContents(l) })
			p.sub("point-"+l.ID, func(p *player) { p.judgePoint(l) })
		}
		if l.files != nil {
			compared = append(compared, l)
		} else if !l.quiet {
			loaded = append(loaded, l)
		}
	}
	for range min(2, len(compared)) {
		l := compared[p.rng.IntN(len(compared))]
		p.sub("again-"+l.ID, func(p *player) { p.judgeAgain(l) })
	}
	if len(loaded) > 0 && p.rng.IntN(2) == 0 {
		l := loaded[p.rng.IntN(len(loaded))]
		p.sub("load-"+l.ID, func(p *player) { p.judgeCluster(l, p.openLink(l)) })
	}
}

// sub runs a check as a subtest, whose directories go when it ends.
func (p *player) sub(name string, check func(p *player)) {
	p.test.Run(name, func(t *testing.T) { check(p.in(t)) })
}

// openLink restores a backup to the moment it was taken, and starts it.
func (p *player) openLink(l *link) *pgtest.Cluster {
	p.t.Helper()
	dir, _ := p.restoreFor(l, "--target", "immediate", "--target-action", "promote", "--target-timeline", "current")
	return p.open(dir)
}

func (p *player) judgeContents(l *link) {
	p.t.Helper()
	cl := p.openLink(l)
	got := p.contents(cl)
	pgtest.CompareTables(p.test, l.want.sums, got.sums)
	pgtest.CompareDumps(p.t, l.want.dump, got.dump)
	if l.judge {
		p.judgeCluster(l, cl)
	}
}

// judgeCluster lets PostgreSQL look for damage.
func (p *player) judgeCluster(l *link, cl *pgtest.Cluster) {
	p.t.Helper()
	p.settle(cl)
	for _, db := range cl.Databases() {
		for _, row := range cl.RowsIn(db, `SELECT DISTINCT i.indrelid::regclass::text
			FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am a ON a.oid = x.relam
			WHERE a.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL
			AND i.indrelid >= 16384 AND i.indrelid::regclass::text NOT LIKE 'pg\_%'`) {
			cl.IndexOnlyEqualsSeq(db, row[0])
		}
	}
	cl.Visibility()
	if p.rng.IntN(3) == 0 {
		cl.Amcheck()
	}
	cl.Stop(pgtest.Fast)
	if l.checksums {
		p.install.Checksums(p.t, cl.DataDir)
	}
}

// judgePoint restores an earlier backup and lets it recover to the point at which a later one was
// taken: what was copied while things happened has to be right as well.
func (p *player) judgePoint(to *link) {
	p.t.Helper()
	var from []*link
	for _, l := range to.before {
		if !p.lossy || l.generation == to.generation {
			from = append(from, l)
		}
	}
	p.tally.points++
	l := from[p.rng.IntN(len(from))]
	for _, c := range from {
		if !c.quiet && p.rng.IntN(2) == 0 {
			l = c
		}
	}
	dir, _ := p.restoreFor(l, "--target-name", to.point, "--target-action", "promote",
		"--target-timeline", fmt.Sprint(to.Timeline))
	cl := p.open(dir)
	got, want := p.contents(cl).withoutSequences(), to.want.withoutSequences()
	pgtest.CompareTables(p.test, want.sums, got.sums)
	pgtest.CompareDumps(p.t, want.dump, got.dump)
	if p.t.Failed() {
		p.t.Logf("from %s", l.ID)
	}
}

// judgeAgain restores a backup that was restored before: however old it has become, it gives the same.
func (p *player) judgeAgain(l *link) {
	p.t.Helper()
	p.tally.again++
	// It may lie on a line that was left.
	dir, _ := p.restoreFor(l, "--target-timeline", "current")
	files, err := datadiff.Hashes(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	if !maps.Equal(files, l.files) {
		for path, hash := range l.files {
			if files[path] != hash {
				p.t.Errorf("%s: %s is not what it was", l.ID, path)
			}
		}
		p.t.Errorf("%s: %d files, %d the first time", l.ID, len(files), len(l.files))
	}
}
