package compact

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Run makes the full backup that holds the state of m, unless there is one: m itself, or one that was
// compacted before. The chain is held meanwhile, so that nothing removes it. Interrupted or failed, it leaves the
// repository as it was, or the rest of an unfinished backup. The commit point is the new
// backup's manifest.
func Run(ctx context.Context, c *repo.Cluster, m *repo.Manifest, o Options) (*Result, error) {
	if m.Status != repo.StatusOK {
		return nil, fmt.Errorf("backup %s: %w: its manifest cannot be read", m.ID, repo.ErrCorrupt)
	}
	if m.Type == repo.TypeFull {
		return &Result{Backup: m, Existing: true, Chain: []string{m.ID}}, nil
	}
	twin, err := c.Compacted(ctx, m.ID)
	if err == nil {
		return &Result{Backup: twin, Existing: true, Chain: []string{twin.ID}}, nil
	}
	if !errors.Is(err, repo.ErrNotFound) {
		return nil, err
	}
	r := &run{o: o, c: c, m: m}
	return r.run(ctx)
}

// run is one compaction.
type run struct {
	o      Options
	c      *repo.Cluster
	m      *repo.Manifest // the newest of the chain
	chain  *repo.Chain
	out    *repo.BackupWriter
	stored int64 // pages in frames of the new backup
	result Result
}

func (r *run) run(ctx context.Context) (_ *Result, err error) {
	if r.chain, err = r.c.OpenChain(ctx, r.m); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.chain.Close()) }()
	for i := len(r.chain.Backups) - 1; i >= 0; i-- {
		r.result.Chain = append(r.result.Chain, r.chain.Backups[i].Manifest.ID)
	}
	r.o.Progress.enter("plan")
	if err := r.plan(ctx); err != nil {
		return nil, err
	}
	if r.o.DryRun {
		return &r.result, nil
	}
	z, err := repo.ParseCompression(r.m.Compression)
	if err != nil {
		return nil, fmt.Errorf("backup %s: %w", r.m.ID, err)
	}
	if r.out, err = r.c.CreateCompacted(ctx, r.m.ID, z); err != nil {
		return nil, err
	}
	if err := r.write(ctx); err != nil {
		return nil, errors.Join(err, r.out.Abort(context.WithoutCancel(ctx)))
	}
	return &r.result, nil
}

// write fills the new backup and commits it.
func (r *run) write(ctx context.Context) error {
	r.o.Progress.enter("compact")
	r.o.Progress.total.Store(r.result.Plan.BytesToRead)
	if err := r.copyFiles(ctx); err != nil {
		return err
	}
	newest := r.chain.Backups[0]
	control, err := newest.Control(ctx)
	if err == nil {
		err = r.out.PutControl(ctx, control)
	}
	if err != nil {
		return err
	}
	files, err := newest.Configuration(ctx)
	if err == nil {
		_, err = r.out.PutConfiguration(ctx, files)
	}
	if err != nil {
		return err
	}
	if err := r.copyWAL(ctx); err != nil {
		return err
	}
	m := r.manifest()
	if err := r.out.Commit(ctx, m); err != nil {
		return err
	}
	r.result.Backup = m
	return nil
}

// manifest is that of the newest backup but for what follows from being full.
func (r *run) manifest() *repo.Manifest {
	m := *r.m
	m.ID = repo.CompactedID(m.ID)
	m.Type, m.Parent = repo.TypeFull, ""
	m.CompactedFrom, m.CompactedAt = r.m.ID, r.o.Clock().UTC()
	m.PageMap, m.FullReason, m.CrossFindings = repo.PageMapResult{}, "", nil
	m.BlocksStored, m.BytesRead = r.stored, 0
	m.Version = r.o.Version
	return &m
}

// copyWAL takes over the WAL that the backup carries.
func (r *run) copyWAL(ctx context.Context) error {
	for _, o := range r.m.Objects {
		name, ok := strings.CutPrefix(o.Name, "wal/")
		if !ok {
			continue
		}
		in, err := r.chain.Backups[0].OpenWAL(ctx, name)
		if err != nil {
			return err
		}
		err = r.out.PutWAL(ctx, name, in)
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	return nil
}
