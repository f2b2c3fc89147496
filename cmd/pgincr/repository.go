package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgincr/pgincr/pkg/repo"
)

// missingClusterError: the repository has no entry of that name.
type missingClusterError struct{ Repo, Cluster string }

func (e *missingClusterError) Error() string {
	return fmt.Sprintf("repository %s: no cluster %q", e.Repo, e.Cluster)
}

// openStore opens the repository of the common flags, in which the cluster may have an entry or not.
func (p *program) openStore(ctx context.Context) (repo.Store, error) {
	return p.openStoreAt(ctx, p.common.Repo)
}

func (p *program) openStoreAt(ctx context.Context, url string) (repo.Store, error) {
	if err := repo.VerifyClusterName(p.common.Cluster); err != nil {
		return nil, &usageError{err: err}
	}
	st, err := p.openURLPolitely(ctx, url)
	if err != nil && !errors.Is(err, repo.ErrUnreachable) {
		return nil, &usageError{err: err}
	}
	return st, err
}

// openedCluster is the entry of one repository.
type openedCluster struct {
	repo    string
	cluster *repo.Cluster
}

// openCluster opens the entry of the common flags.
func (p *program) openCluster(ctx context.Context) (*repo.Cluster, error) {
	url := p.common.Repo
	c, err := p.openClusterAt(ctx, url)
	if err == nil {
		p.clusters = slices.DeleteFunc(p.clusters, func(o openedCluster) bool { return o.repo == url })
		p.clusters = append(p.clusters, openedCluster{url, c})
	}
	return c, err
}

// openClusterAt opens the entry in one repository. It may be called for several at a time.
func (p *program) openClusterAt(ctx context.Context, url string) (*repo.Cluster, error) {
	st, err := p.openStoreAt(ctx, url)
	if err != nil {
		return nil, err
	}
	with, err := p.credentials()
	if err != nil {
		return nil, err
	}
	c, err := repo.OpenCluster(ctx, st, p.common.Cluster, repo.WithCredentials(with))
	if errors.Is(err, repo.ErrNotFound) {
		return nil, &missingClusterError{Repo: st.String(), Cluster: p.common.Cluster}
	}
	return c, err
}

// openReadable opens the entry for a command that reads pages or WAL, and refuses keys that do not, before
// anything is begun.
func (p *program) openReadable(ctx context.Context) (*repo.Cluster, error) {
	c, err := p.openCluster(ctx)
	if err == nil {
		err = c.VerifyReadsData()
	}
	return c, err
}

// missingBackupError: the cluster has no backup of that name.
type missingBackupError struct{ Cluster, Backup string }

func (e *missingBackupError) Error() string {
	return fmt.Sprintf("cluster %q: no backup %s", e.Cluster, e.Backup)
}

// findBackup loads the backup that an id, latest or latest-full means.
func findBackup(ctx context.Context, cluster *repo.Cluster, id string) (*repo.Manifest, error) {
	m, err := cluster.Backup(ctx, id)
	if errors.Is(err, repo.ErrNotFound) {
		return nil, &missingBackupError{Cluster: cluster.Info.Name, Backup: id}
	}
	return m, err
}

// verifyOutside refuses a repository within the data directory: a backup would contain
// itself, and whoever loses the directory loses both.
func verifyOutside(repository, pgdata string) error {
	path, ok := strings.CutPrefix(repository, "file://")
	if !ok && strings.Contains(repository, "://") {
		return nil
	}
	inside := resolvePath(path)
	outside := resolvePath(pgdata)
	rel, err := filepath.Rel(outside, inside)
	if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return &usageError{
			err:  fmt.Errorf("repository %s: lies in the data directory %s", path, pgdata),
			hint: "choose a place that is not lost together with the cluster",
		}
	}
	return nil
}

// resolvePath makes a path absolute and follows its links as far as it exists.
func resolvePath(path string) string {
	path = absolute(path)
	rest := ""
	for p := path; ; p = filepath.Dir(p) {
		if found, err := filepath.EvalSymlinks(p); err == nil {
			return filepath.Join(found, rest)
		}
		if p == filepath.Dir(p) {
			return path
		}
		rest = filepath.Join(filepath.Base(p), rest)
	}
}
