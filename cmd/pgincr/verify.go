package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/repo"
)

type verifyCommand struct {
	jsonFlag `embed:""`

	Quick   bool     `help:"Do not read packs and WAL: see that all is there, with the right sizes, and readable as far as it must be to find the rest."`
	Backups []string `arg:"" optional:"" name:"id" placeholder:"ID" help:"Ids, latest or latest-full (default: all backups)."`
}

// Help is shown below the summary.
func (*verifyCommand) Help() string {
	return "Every byte that a restore of these backups would need is read and compared with its checksum: their chains, " +
		"page by page, and the WAL they need. With --quick only what a few requests tell: manifests and indexes are read, " +
		"objects, their sizes and the WAL are looked for. Nothing is written. Exit code 3 says that a backup cannot be " +
		"restored whole."
}

// verifyDocument is what verify --json prints.
type verifyDocument struct {
	Cluster string            `json:"cluster"`
	Quick   bool              `json:"quick"`
	OK      bool              `json:"ok"`
	Backups []*verifiedBackup `json:"backups"`
	Stats   repo.VerifyStats  `json:"stats"`
}

// verifiedBackup is the verdict on one backup: whether it can be restored, and
// what is wrong with its own objects or its chain.
type verifiedBackup struct {
	ID       string            `json:"id"`
	OK       bool              `json:"ok"`
	Problems []verifiedProblem `json:"problems"`
	More     int               `json:"more_problems"`
}

type verifiedProblem struct {
	Object string `json:"object,omitempty"` // of the repository
	Path   string `json:"path,omitempty"`   // the file of the cluster that suffers
	Cause  string `json:"cause"`
}

// maxProblems bounds what is listed for one backup.
const maxProblems = 100

func (b *verifiedBackup) add(p verifiedProblem) {
	b.OK = false
	if len(b.Problems) < maxProblems {
		b.Problems = append(b.Problems, p)
	} else {
		b.More++
	}
}

// Run implements the command.
func (c *verifyCommand) Run(ctx context.Context, p *program) error {
	cluster, err := p.openReadable(ctx)
	if err != nil {
		return err
	}
	manifests, err := c.choose(ctx, cluster)
	if err != nil {
		return err
	}
	d, err := p.verify(ctx, cluster, manifests, c.Quick)
	if err != nil {
		return err
	}
	if c.JSON {
		err = p.printJSON(d)
	} else {
		err = p.printVerified(d)
	}
	if err != nil || d.OK {
		return err
	}
	bad := 0
	for _, b := range d.Backups {
		if !b.OK {
			bad++
		}
	}
	return findings("cluster %q: %d of %d backups cannot be restored whole", p.common.Cluster, bad, len(d.Backups))
}

// choose gives the backups named and what they are built on, or all.
func (c *verifyCommand) choose(ctx context.Context, cluster *repo.Cluster) ([]*repo.Manifest, error) {
	if len(c.Backups) == 0 {
		return cluster.Backups(ctx)
	}
	var chosen []*repo.Manifest
	seen := map[string]bool{}
	for _, id := range c.Backups {
		m, err := findBackup(ctx, cluster, id)
		if err != nil {
			return nil, err
		}
		chain, err := cluster.Chain(ctx, m)
		if err != nil {
			chain = []*repo.Manifest{m} // what is wrong with it will be told
		}
		for _, b := range chain {
			if !seen[b.ID] {
				seen[b.ID] = true
				chosen = append(chosen, b)
			}
		}
	}
	return chosen, nil
}

// verify looks at backups, parents first, and at the archived WAL that they need.
func (p *program) verify(
	ctx context.Context, cluster *repo.Cluster, manifests []*repo.Manifest, quick bool,
) (_ *verifyDocument, err error) {
	d := &verifyDocument{Cluster: p.common.Cluster, Quick: quick, OK: true, Backups: []*verifiedBackup{}}
	byID := map[string]*verifiedBackup{}
	var total int64
	for _, m := range manifests {
		b := &verifiedBackup{ID: m.ID, OK: true, Problems: []verifiedProblem{}}
		d.Backups, byID[m.ID] = append(d.Backups, b), b
		total += m.StoredBytes
	}
	newVerifier := cluster.NewVerifier
	if quick {
		newVerifier, total = cluster.NewQuickVerifier, 0 // next to nothing of that is read
	}
	v := newVerifier(p.common.jobs(), func(problem repo.Problem) {
		b := byID[problem.Backup]
		if b == nil { // compacted meanwhile
			b = &verifiedBackup{ID: problem.Backup}
			d.Backups, byID[b.ID], d.OK = append(d.Backups, b), b, false
		}
		b.add(verifiedProblem{problem.Object, problem.Path, oneLine(problem.Err.Error())})
	})
	stop := p.watch(ctx, func() (string, int64, int64) { return "verify", v.Stats().Bytes, total })
	defer stop()
	archive := walVerifier{archive: cluster.WAL(repo.Compression{}), quick: quick, seen: map[string]error{}}
	holds := newHolds(cluster, manifests)
	defer func() { err = errors.Join(err, holds.end()) }()
	for _, m := range manifests {
		err := p.verifyBackup(ctx, holds, v, &archive, m, byID[m.ID])
		if errors.Is(err, repo.ErrNotFound) {
			p.log.Info("removed meanwhile", "id", m.ID)
			d.Backups = slices.DeleteFunc(d.Backups, func(b *verifiedBackup) bool { return b.ID == m.ID })
			continue
		}
		if err != nil {
			return nil, err
		}
		d.OK = d.OK && byID[m.ID].OK
	}
	d.Stats = v.Stats()
	return d, nil
}

// verifyBackup looks at one backup and the archived WAL that it needs, holding it so that nothing of it is
// removed on the way.
func (p *program) verifyBackup(
	ctx context.Context, holds *holds, v *repo.Verifier, archive *walVerifier,
	m *repo.Manifest, b *verifiedBackup,
) (err error) {
	chain, release, err := holds.hold(ctx, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	var ok bool
	if chain != nil {
		ok, err = v.Chain(ctx, chain)
	} else {
		ok, err = v.Backup(ctx, m)
	}
	if err != nil {
		return err
	}
	b.OK = b.OK && ok
	if m.Status == repo.StatusOK {
		if _, err := m.NeededWAL(); err != nil {
			b.add(verifiedProblem{Cause: oneLine(err.Error())})
		}
	}
	if m.WAL.Mode != repo.WALArchived {
		return nil
	}
	for _, name := range m.WAL.Segments {
		err := archive.verify(ctx, name)
		if fatal := interrupted(ctx, err); fatal != nil {
			return fatal
		}
		if err != nil {
			b.add(verifiedProblem{Object: "WAL segment " + name, Cause: oneLine(err.Error())})
		}
	}
	return nil
}

// walVerifier reads archived WAL, each file once.
type walVerifier struct {
	archive *repo.WALArchive
	quick   bool // only look whether they are there
	seen    map[string]error
}

func (w *walVerifier) verify(ctx context.Context, name string) error {
	if err, ok := w.seen[name]; ok {
		return err
	}
	err := w.look(ctx, name)
	if errors.Is(err, repo.ErrNotFound) {
		err = errors.New("not in the archive")
	}
	w.seen[name] = err
	return err
}

// look reads a WAL file, or looks whether it is there.
func (w *walVerifier) look(ctx context.Context, name string) error {
	if w.quick {
		has, err := w.archive.Has(ctx, name)
		if err == nil && !has {
			err = repo.ErrNotFound
		}
		return err
	}
	f, err := w.archive.Open(ctx, name)
	if err == nil {
		_, err = io.Copy(io.Discard, f)
		err = errors.Join(err, f.Close())
	}
	return err
}

// interrupted gives the error that ends a verification: it tells nothing of what is stored.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, repo.ErrUnreachable) {
		return err
	}
	return nil
}

func (p *program) printVerified(d *verifyDocument) error {
	for _, b := range d.Backups {
		if b.OK && p.common.Quiet {
			continue
		}
		verdict := "ok"
		if !b.OK {
			verdict = "DAMAGED"
		}
		if err := p.printf("%s  %s\n", b.ID, verdict); err != nil {
			return err
		}
		for _, problem := range b.Problems {
			if err := p.printf("  %s\n", problem); err != nil {
				return err
			}
		}
		if b.More > 0 {
			if err := p.printf("  and %d more\n", b.More); err != nil {
				return err
			}
		}
	}
	if p.common.Quiet {
		return nil
	}
	if d.Quick {
		return p.printf("%d backups, %d objects are there; %s read, no packs\n", d.Stats.Backups, d.Stats.Objects,
			human.Bytes(d.Stats.Bytes))
	}
	return p.printf("%d backups, %s in %d objects, %d pages\n", d.Stats.Backups, human.Bytes(d.Stats.Bytes),
		d.Stats.Objects, d.Stats.Pages)
}

// String names the file of the cluster that suffers, or else the object at fault.
func (p verifiedProblem) String() string {
	switch {
	case p.Path != "":
		return fmt.Sprintf("%s: %s", p.Path, p.Cause)
	case p.Object != "":
		return fmt.Sprintf("%s: %s", p.Object, p.Cause)
	}
	return p.Cause
}
