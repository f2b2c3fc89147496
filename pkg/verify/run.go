package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Options is one order for a verification.
type Options struct {
	IDs      []string // ids, latest or latest-full; none: all backups
	Jobs     int
	Progress *Progress // may be nil
}

// Run verifies backups and whatever they are built on; the result lists all of them. It changes
// nothing. What is wrong is in the result; an error means that it could not be found out.
func Run(ctx context.Context, c *repo.Cluster, o Options) (*Result, error) {
	v := &verifier{c: c, jobs: max(o.Jobs, 1), progress: o.Progress, bad: map[frameKey]badFrame{}}
	if v.progress == nil {
		v.progress = new(Progress)
	}
	manifests, err := v.choose(ctx, o.IDs)
	if err != nil {
		return nil, err
	}
	r := &Result{Cluster: c.Info.Name, OK: true, Backups: []*Backup{}}
	for _, m := range manifests {
		v.progress.total.Add(m.StoredBytes)
		r.Backups = append(r.Backups, &Backup{ID: m.ID, OK: true, Chain: []string{}, Problems: []Problem{}})
	}
	v.progress.enter("reading")
	for i, m := range manifests {
		if err := v.content(ctx, m, r.Backups[i]); err != nil {
			return nil, err
		}
	}
	v.progress.enter("chains")
	for i, m := range manifests {
		if err := v.chain(ctx, m, r.Backups[i]); err != nil {
			return nil, err
		}
		r.OK = r.OK && r.Backups[i].OK
	}
	return r, nil
}

// verifier is one Run at work.
type verifier struct {
	c        *repo.Cluster
	jobs     int
	progress *Progress

	mu  sync.Mutex // guards bad, and the Backup that content fills
	bad map[frameKey]badFrame
}

// frameKey names a frame of the cluster.
type frameKey struct {
	backup string
	pack   uint32
	offset int64
}

// choose gives the backups to be verified: those named and their ancestors, in the order of Backups.
func (v *verifier) choose(ctx context.Context, ids []string) ([]*repo.Manifest, error) {
	all, err := v.c.Backups(ctx)
	if err != nil || len(ids) == 0 {
		return all, err
	}
	byID := make(map[string]*repo.Manifest, len(all))
	for _, m := range all {
		byID[m.ID] = m
	}
	wanted := map[string]bool{}
	for _, id := range ids {
		m, ok := byID[id]
		if !ok {
			if m, err = v.c.Backup(ctx, id); err != nil {
				return nil, err
			}
		}
		for m != nil && !wanted[m.ID] {
			wanted[m.ID] = true
			m = byID[m.Parent]
		}
	}
	return slices.DeleteFunc(all, func(m *repo.Manifest) bool { return !wanted[m.ID] }), nil
}

// fatal says whether an error tells nothing of the stored bytes: the verification was
// interrupted, or the repository went away.
func fatal(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, repo.ErrUnreachable):
		return err
	}
	return nil
}

// wrapID names the backup in an error that ends the verification.
func wrapID(id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("backup %s: %w", id, err)
}
