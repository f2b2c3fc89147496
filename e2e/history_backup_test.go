package e2e

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/pgincr/pgincr/internal/datadiff"
	"github.com/pgincr/pgincr/internal/history"
	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
)

// link is one backup of a history, with what is known about it.
type link struct {
	backup
	before     []*link  // that could be built on then
	spaces     []string // tablespaces outside the data directory at the time
	quiet      bool     // nothing happened while it was taken
	usable     bool     // as a parent: the server has lived through it
	checksums  bool     // data checksums were on
	generation int
	snapshot   *history.Snapshot

	files map[string]uint64 // hashes of the restored files, if it was restored
	point string            // restore point right after it, if there is one
	want  *reference        // contents at that point
	judge bool              // PostgreSQL looks for damage too
}

func (p *player) control() pg.Control {
	p.t.Helper()
	control, err := datadiff.Control(p.pg.DataDir)
	if err != nil {
		p.t.Fatal(err)
	}
	return control
}

// usable gives the backups that can be built on, oldest first.
func (p *player) usable() (out []*link) {
	for _, l := range p.links {
		if l.usable {
			out = append(out, l)
		}
	}
	return out
}

// parentOf chooses what to build on; nil when there is nothing.
func (p *player) parentOf(b history.Backup) *link {
	usable := p.usable()
	if len(usable) == 0 {
		return nil
	}
	latest := usable[len(usable)-1]
	switch b.Parent {
	case history.EarlierParent:
		return usable[b.Pick%len(usable)]
	case history.LatestFullParent:
		for i := len(usable) - 1; i >= 0; i-- {
			if usable[i].Type == "full" {
				return usable[i]
			}
		}
	case history.LatestParent:
	}
	return latest
}

// maxReferences keeps histories quick: to read a whole cluster takes seconds.
const maxReferences = 2

// backUp takes the backups of one step, compares them with the source, and
// keeps what is needed to judge them later.
func (p *player) backUp(b history.Backup) {
	p.t.Helper()
	parent := p.parentOf(b)
	if b.Full || parent == nil {
		b.Sources = []string{""}
		parent = nil
	}
	var last *link
	byHash, byLSN := "", ""
	for _, source := range b.Sources {
		l := p.take(parent, source, b.Load)
		last = l
		if !l.quiet {
			continue
		}
		p.compare(l)
		switch l.PageMap.Source {
		case "hash":
			byHash = l.ID
		case "lsn":
			byLSN = l.ID
		}
	}
	if byHash != "" && byLSN != "" {
		p.superset(parent, byLSN, byHash)
	}
	if b.Reference && last.quiet && p.points < maxReferences {
		p.refer(last)
	}
}

// take takes one backup; with load, while other things happen.
func (p *player) take(parent *link, source string, load int) *link {
	p.t.Helper()
	l := &link{
		quiet: load == 0, usable: true, generation: p.generation, checksums: p.control().ChecksumVersion != 0,
	}
	for _, row := range p.pg.Rows(`SELECT pg_tablespace_location(oid) FROM pg_tablespace
		WHERE pg_tablespace_location(oid) LIKE '/%' ORDER BY 1`) {
		l.spaces = append(l.spaces, row[0])
	}
	args := []string{"backup", "-D", p.pg.DataDir, "--checkpoint", "fast", "--json"}
	if parent != nil {
		args = append(args, "--incremental", "--parent", parent.ID, "--page-map", source)
	}
	if load > 0 {
		args = append(args, "-r", "20M")
	}
	o := p.during(load, args)
	if o.code == 1 && parent != nil && p.mayRefuse(parent, l, source) {
		p.note("        %s refused: %s", source, strings.TrimSpace(o.stderr))
		p.tally.refused++
		args[len(args)-1-2*min(load, 1)] = "auto"
		source = "auto"
		o = p.during(0, args)
	}
	if o.code != 0 {
		p.t.Fatalf("pgincr %v: exit %d\n%s%s", args, o.code, o.stdout, o.stderr)
	}
	l.backup = decode[backup](p.t, o.stdout)
	p.note("        %s by %s on %s %s", l.ID, l.PageMap.Source, l.Parent, l.PageMap.FallbackReason)
	p.expectSource(parent, l, source)
	l.snapshot = p.g.Snapshot()
	p.links = append(p.links, l)
	p.tally.backups++
	return l
}

// mayRefuse says whether a source that was named may rightly be refused.
func (p *player) mayRefuse(parent, l *link, source string) bool {
	switch source {
	case "wal", "cross":
		// Switching checksums leaves no trace in WAL; a server that was killed
		// may have taken WAL with it.
		return parent.checksums != l.checksums || p.lossy && parent.generation != l.generation
	case "summaries":
		// A new server has none of the old one's.
		return parent.checksums != l.checksums || parent.generation != l.generation
	}
	return false
}

// expectSource fails the test when a backup was taken otherwise than it was asked for.
func (p *player) expectSource(parent, l *link, source string) {
	p.t.Helper()
	switch {
	case parent == nil:
		if l.Type != "full" {
			p.t.Fatalf("backup %s is %s", l.ID, l.Type)
		}
		return
	case l.Type != "incremental" || l.Parent != parent.ID:
		p.t.Fatalf("backup %s is %s on %q (%s), want one on %s", l.ID, l.Type, l.Parent, l.FullReason, parent.ID)
	case source == "auto" || l.PageMap.Source == source:
	case source == "lsn" && l.PageMap.Source == "hash" && parent.checksums != l.checksums:
	default:
		p.t.Fatalf("backup %s is by %s (%s), want %s", l.ID, l.PageMap.Source, l.PageMap.FallbackReason, source)
	}
}

// during runs the binary while operations happen.
func (p *player) during(load int, args []string) outcome {
	p.t.Helper()
	result := make(chan outcome, 1)
	go func() { result <- p.run(args...) }()
	for range load {
		p.play(p.g.Operation(true))
	}
	return <-result
}

// interrupt crashes the server while a backup is being taken.
func (p *player) interrupt(step history.Step) {
	p.t.Helper()
	args := []string{"backup", "-D", p.pg.DataDir, "--checkpoint", "fast", "--json", "-r", "10M"}
	if !step.Backup.Full {
		args = append(args, "--incremental", "--page-map", "auto")
	}
	l := &link{usable: true, generation: p.generation, checksums: p.control().ChecksumVersion != 0}
	result := make(chan outcome, 1)
	go func() { result <- p.run(args...) }()
	for range step.Backup.Load {
		p.play(p.g.Operation(true))
	}
	p.stop(step.Kill)
	o := <-result
	p.startAgain()
	p.note("        exit code %d", o.code)
	if o.code == 0 {
		// It was quicker.
		l.backup = decode[backup](p.t, o.stdout)
		for _, row := range p.pg.Rows(`SELECT pg_tablespace_location(oid) FROM pg_tablespace
			WHERE pg_tablespace_location(oid) LIKE '/%' ORDER BY 1`) {
			l.spaces = append(l.spaces, row[0])
		}
		l.snapshot = p.g.Snapshot()
		p.links = append(p.links, l)
	}
}

// moved gives the flags that restore the tablespaces of a backup elsewhere.
func (p *player) moved(l *link) []string {
	p.t.Helper()
	var args []string
	for _, location := range l.spaces {
		args = append(args, "-T", location+"="+filepath.Join(pgtest.TempDir(p.t), "ts"))
	}
	return args
}

// restoreFor restores a backup for one check; the caller calls remove.
func (p *player) restoreFor(l *link, args ...string) (dir string, remove func()) {
	p.t.Helper()
	moved := p.moved(l)
	dir = p.restore(l.ID, append(moved, args...)...)
	return dir, func() {
		for _, place := range append([]string{"=" + dir}, moved...) {
			if _, to, ok := strings.Cut(place, "="); ok {
				if err := os.RemoveAll(filepath.Dir(to)); err != nil {
					p.t.Fatal(err)
				}
			}
		}
	}
}

// compare compares a backup, restored, with the source, in which nothing has
// happened since.
func (p *player) compare(l *link) {
	p.t.Helper()
	dir, remove := p.restoreFor(l)
	start, err := pg.ParseLSN(l.StartLSN)
	if err != nil {
		p.t.Fatal(err)
	}
	report, err := datadiff.Comparison{
		Source: p.pg.DataDir, Restored: dir, Control: p.control(), Start: start,
	}.Compare()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, d := range report.Differences {
		p.t.Errorf("backup %s by %s on %s: %s", l.ID, l.PageMap.Source, l.Parent, d)
	}
	if p.t.Failed() {
		p.t.FailNow()
	}
	p.tally.compared++
	p.tally.blocks += report.Blocks
	p.tally.hints += report.Hints
	p.tally.newer += report.Newer
	if l.files, err = datadiff.Hashes(dir); err != nil {
		p.t.Fatal(err)
	}
	remove()
}
