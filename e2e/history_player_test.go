package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgincr/pgincr/internal/history"
	"github.com/pgincr/pgincr/internal/pgtest"
)

// player carries out the steps of a history on a site, and checks its backups.
type player struct {
	*site
	test     *testing.T
	g        *history.Generator
	install  pgtest.Install
	rng      *rand.Rand
	sessions map[string]*pgtest.Session
	log      []string
	links    []*link
	points   int // restore points
	tally    *tally

	generation int  // how many servers went on with the work of another one
	lossy      bool // one of them lost the last WAL of another one
}

// tally is what a history came to.
type tally struct {
	backups, refused, compared, blocks, hints, newer, superset int
	references, points, again                                  int
}

func (t *tally) String() string {
	return fmt.Sprintf("%d backups, %d compared (%d blocks, %d with other hints, %d newer), %d sources refused, "+
		"%d pages by hash in lsn, %d references, %d points in time, %d restored again",
		t.backups, t.compared, t.blocks, t.hints, t.newer, t.refused, t.superset, t.references, t.points, t.again)
}

// in gives the same player, failing another test.
func (p *player) in(t *testing.T) *player {
	c := *p
	c.site, c.test = p.site.in(t), t
	return &c
}

func (p *player) note(format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf(format, args...))
}

// play carries out one step.
func (p *player) play(step history.Step) {
	p.t.Helper()
	p.note("%3d %s", len(p.log), step)
	ok := true
	switch step.Kind {
	case history.SQL:
		ok = p.sql(step)
	case history.Tablespace:
		p.pg.NewTablespace(step.Name)
	case history.File:
		p.writeFile(step)
	case history.Crash:
		p.crash(step.Kill)
	case history.Restart:
		for name, value := range step.Settings {
			p.pg.AppendConf(fmt.Sprintf("%s = '%s'", name, value))
		}
		p.pg.Restart()
	case history.Checksums:
		ok = p.switchChecksums()
	case history.Failover:
		p.failOver(p.rng.IntN(2) == 0)
	case history.Recover:
		p.recover()
	case history.Rewind:
		ok = p.rewind(step.Pick)
	case history.TakeBackup:
		p.backUp(step.Backup)
	case history.Interrupt:
		p.interrupt(step)
	case history.End:
	}
	if !p.pg.Running() {
		p.t.Fatalf("%s: the server is not running", step.Op)
	}
	p.g.Done(step, ok)
}

// sql runs the statements of a step and says whether all were done.
func (p *player) sql(step history.Step) bool {
	p.t.Helper()
	s := p.sessions[step.Session]
	if s == nil {
		s = p.pg.Connect(step.DB)
		if step.Session == "" {
			defer s.Close()
		} else {
			p.sessions[step.Session] = s
		}
		s.Exec("SET lock_timeout = '20s'")
	}
	done := true
	for i, statement := range step.SQL {
		if _, err := s.Try(statement); err != nil {
			last := i == len(step.SQL)-1
			if !(step.Refusal && last || step.GoesOn && !last) && !smallBuffers(err) {
				p.t.Fatalf("%s: %v", step.Op, err)
			}
			p.note("        refused: %v", firstLine(err))
			if step.GoesOn {
				continue
			}
			done = false
			break
		}
	}
	if step.Session != "" && (step.Close || !done) {
		s.Close()
		delete(p.sessions, step.Session)
		// A step that ends a session ends it in any case.
		return done || step.Close
	}
	return done
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// smallBuffers says that a statement needed more buffers than a history allows.
func smallBuffers(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && strings.Contains(pgErr.Message, "no unpinned buffers available")
}

func (p *player) writeFile(step history.Step) {
	p.t.Helper()
	path := filepath.Join(p.pg.DataDir, step.Name)
	content := make([]byte, step.Size)
	for i := range content {
		content[i] = byte(p.rng.Uint32())
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		p.t.Fatal(err)
	}
	pgtest.Chown(p.t, path)
}

// forgetSessions is called when the server has ended them.
func (p *player) forgetSessions() {
	for name, s := range p.sessions {
		s.Close()
		delete(p.sessions, name)
	}
}

func (p *player) stop(kill bool) {
	p.t.Helper()
	if kill {
		p.pg.Kill()
	} else {
		p.pg.Stop(pgtest.Immediate)
	}
	p.forgetSessions()
}

func (p *player) crash(kill bool) {
	p.t.Helper()
	p.stop(kill)
	p.startAgain()
}

// startAgain starts a server that has crashed. PostgreSQL itself cannot always: after an aborted TRUNCATE of an
// unlogged table the empty file of the new relation stays until the next checkpoint, and where the abort did not
// get into the WAL, recovery makes its init fork again and fails when it copies it there.
func (p *player) startAgain() {
	p.t.Helper()
	err := p.pg.TryStart()
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		if strings.Contains(line, "startup FATAL:") && strings.Contains(line, "could not create file \"") &&
			strings.Contains(line, "File exists") {
			p.test.Skipf("the history ends early: PostgreSQL does not start after a crash: %s", line)
		}
	}
	p.t.Fatal(err)
}

// switchChecksums needs the program of the server's own version.
func (p *player) switchChecksums() bool {
	p.t.Helper()
	if _, own := p.install.Tool("pg_resetwal"); !own {
		return false
	}
	p.pg.Stop(pgtest.Fast)
	p.forgetSessions()
	how := "--enable"
	if p.control().ChecksumVersion != 0 {
		how = "--disable"
	}
	p.pg.Tool("pg_checksums", how, "--no-sync", "-D", p.pg.DataDir)
	p.pg.Start()
	return true
}

// failOver promotes a standby that has replayed everything, and goes on there.
func (p *player) failOver(kill bool) {
	p.t.Helper()
	for _, setting := range []string{"recovery_target", "recovery_target_action", "recovery_target_timeline"} {
		// Left by a restore, it would end the standby's recovery.
		p.pg.Exec("ALTER SYSTEM RESET " + setting)
	}
	standby := p.pg.NewStandby(p.t)
	standby.WaitReplayed(p.pg)
	if kill {
		p.stop(true)
	} else {
		p.pg.Stop(pgtest.Fast)
	}
	p.forgetSessions()
	standby.Promote()
	p.pg = standby
	p.generation++
	p.lossy = p.lossy || kill
	p.note("        killed=%v", kill)
}

// recover restores the latest backup, lets it replay all WAL, and goes on there.
func (p *player) recover() {
	p.t.Helper()
	usable := p.usable()
	l := usable[len(usable)-1]
	p.pg.Stop(pgtest.Fast)
	p.forgetSessions()
	p.note("        from %s", l.ID)
	dir := p.restore(l.ID, append(p.moved(l), "--preserve-archive-mode")...)
	p.adopt(dir)
}

// adopt goes on with a restored cluster.
func (p *player) adopt(dir string) {
	p.t.Helper()
	p.pg = p.open(dir, pgtest.Setting("archive_mode", "on"))
	p.generation++
}

// rewind restores an earlier backup to the moment when it was taken, and goes on
// there. What was backed up later is of another line then.
func (p *player) rewind(pick int) bool {
	p.t.Helper()
	var quiet []int
	for i, l := range p.links {
		if l.usable && l.quiet {
			quiet = append(quiet, i)
		}
	}
	if len(quiet) == 0 {
		return false
	}
	at := quiet[pick%len(quiet)]
	l := p.links[at]
	p.stop(pick%2 == 0)
	p.note("        to %s", l.ID)
	dir := p.restore(l.ID, append(p.moved(l), "--preserve-archive-mode",
		"--target", "immediate", "--target-action", "promote", "--target-timeline", "current")...)
	p.adopt(dir)
	p.g.Restore(l.snapshot)
	for _, later := range p.links[at+1:] {
		later.usable = false
	}
	return true
}
