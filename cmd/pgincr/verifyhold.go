package main

import (
	"context"
	"errors"
	"slices"

	"github.com/pgincr/pgincr/pkg/repo"
)

// holds keeps what is verified from being removed. Who holds a backup holds its chain: it is enough to hold the
// newest of each chain, and to read its manifests once.
type holds struct {
	cluster *repo.Cluster
	tip     map[string]string // of each backup, the one that is held for it
	left    map[string]int    // how many are still to be verified, by tip
	uses    map[string]*repo.Use
}

// newHolds prepares for these backups. Nothing is held yet.
func newHolds(cluster *repo.Cluster, manifests []*repo.Manifest) *holds {
	h := &holds{cluster: cluster, tip: map[string]string{}, left: map[string]int{}, uses: map[string]*repo.Use{}}
	byID := map[string]*repo.Manifest{}
	for _, m := range manifests {
		byID[m.ID] = m
	}
	for _, m := range slices.Backward(manifests) { // what is built on others comes behind them
		if h.tip[m.ID] == "" {
			h.tip[m.ID] = m.ID
		}
		h.left[h.tip[m.ID]]++
		if below := repo.BuiltOn(byID, m); m.Status == repo.StatusOK && below != nil && h.tip[below.ID] == "" {
			h.tip[below.ID] = h.tip[m.ID]
		}
	}
	return h
}

// hold holds a backup until release, and gives its chain, full backup first; nil where that is not whole, which its
// verification will tell.
func (h *holds) hold(ctx context.Context, m *repo.Manifest) (chain []*repo.Manifest, release func() error, err error) {
	tip := h.tip[m.ID]
	release = func() error { return h.done(tip) }
	if m.Status != repo.StatusOK {
		return nil, release, nil
	}
	use := h.uses[tip]
	if use == nil {
		// The newest may be gone, or damaged, and this one is not.
		if use, err = h.cluster.Use(ctx, tip); err == nil {
			h.uses[tip] = use
		}
	}
	if err == nil {
		if n := slices.IndexFunc(use.Chain, func(b *repo.Manifest) bool { return b.ID == m.ID }); n >= 0 {
			return use.Chain[:n+1], release, nil
		}
	}
	if use, err = h.cluster.Use(ctx, m.ID); errors.Is(err, repo.ErrCorrupt) {
		return nil, release, nil
	}
	if err != nil {
		return nil, release, err
	}
	return use.Chain, func() error { return errors.Join(use.Release(), h.done(tip)) }, nil
}

// done ends the hold for one of the backups of a chain, and with the last of them the chain's.
func (h *holds) done(tip string) error {
	h.left[tip]--
	if use := h.uses[tip]; use != nil && h.left[tip] == 0 {
		delete(h.uses, tip)
		return use.Release()
	}
	return nil
}

// end gives up what is held still.
func (h *holds) end() error {
	var err error
	for _, use := range h.uses {
		err = errors.Join(err, use.Release())
	}
	return err
}
