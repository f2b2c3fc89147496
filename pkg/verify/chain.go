package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/repo"
)

// chain looks for what a restore of m would miss in its chain. The frames were all read before.
func (v *verifier) chain(ctx context.Context, m *repo.Manifest, b *Backup) error {
	if m.Status != repo.StatusOK {
		return nil
	}
	ch, err := v.c.OpenChain(ctx, m)
	if err != nil {
		if m.Parent != "" || b.OK { // a full backup has told it already
			b.add(Problem{Cause: err.Error()})
		}
		return wrapID(m.ID, fatal(ctx, err))
	}
	for i := len(ch.Backups) - 1; i >= 0; i-- {
		b.Chain = append(b.Chain, ch.Backups[i].Manifest.ID)
	}
	for cf, err := range ch.Files(ctx) {
		if err == nil {
			err = v.chainFile(ch, cf, b)
		}
		if err != nil {
			b.add(Problem{Cause: err.Error()})
			if err := fatal(ctx, err); err != nil {
				return wrapID(m.ID, errors.Join(err, ch.Close()))
			}
		}
	}
	return wrapID(m.ID, ch.Close())
}

// chainFile finds the bad frames that a restore would need for one file, and proves that
// all of the file is supplied.
func (v *verifier) chainFile(ch *repo.Chain, cf *repo.ChainFile, b *Backup) error {
	g := ch.Backups[0].Manifest.Geometry
	pieces, zero, err := cf.Resolve(g)
	if err != nil {
		return err
	}
	f := cf.Versions[0]
	var supplied int64
	for _, r := range zero {
		supplied += int64(r.Count) * int64(g.BlockSize)
	}
	for i := range pieces {
		p := &pieces[i]
		for _, r := range p.Runs {
			supplied += int64(r.Count) * int64(g.BlockSize)
		}
		if f.Kind == repo.KindFile {
			supplied += int64(p.Frame.Raw)
		}
		id := ch.Backups[p.Depth].Manifest.ID
		if bad, ok := v.bad[frameKey{id, p.Frame.Pack, p.Frame.Offset}]; ok {
			b.add(Problem{Path: cf.Path, Block: bad.block, In: id, Cause: bad.cause})
		}
	}
	if (f.Kind == repo.KindFile || f.Kind == repo.KindRelation) && supplied != f.Size {
		return fmt.Errorf("%s: %d bytes are supplied, want %d", cf.Path, supplied, f.Size)
	}
	return nil
}
