package repo

import (
	"context"

	"github.com/pgincr/pgincr/pkg/pg"
)

// ClusterInfo is what cluster.json holds: which PostgreSQL cluster the entry is bound to.
type ClusterInfo struct {
	Format           int         `json:"format"`
	Name             string      `json:"name"`
	SystemIdentifier uint64      `json:"system_identifier,string"`
	PGVersion        int         `json:"pg_version"` // server_version_num at init
	Geometry         pg.Geometry `json:"geometry"`
}

// Cluster is the entry of one PostgreSQL cluster in a repository.
type Cluster struct {
	Info ClusterInfo
}

// Init creates the entry. Doing it again for the same system identifier is harmless and gives created=false; for
// another one it is an error of type *SystemIdentifierError.
func Init(ctx context.Context, st Store, info ClusterInfo) (c *Cluster, created bool, err error) {
	panic("stub")
}

// OpenCluster opens an entry, or fails with ErrNotFound.
func OpenCluster(ctx context.Context, st Store, name string) (*Cluster, error) { panic("stub") }

// SystemIdentifierError: the entry belongs to another cluster.
type SystemIdentifierError struct {
	Cluster    string
	Have, Want uint64 // in the repository; of the server or directory
}

func (e *SystemIdentifierError) Error() string { panic("stub") }

// Backups lists the committed backups, oldest first by start position (not by time). A manifest that cannot be read
// is an entry with Status "broken" and the cause in Warnings.
func (c *Cluster) Backups(ctx context.Context) ([]*Manifest, error) { panic("stub") }

// Backup loads one manifest: by id, "latest", or "latest-full".
func (c *Cluster) Backup(ctx context.Context, id string) (*Manifest, error) { panic("stub") }

// Chain gives the manifests from the full backup to m, full first, and proves
// that they fit: each parent is there, same system identifier and geometry, positions in order.
func (c *Cluster) Chain(ctx context.Context, m *Manifest) ([]*Manifest, error) { panic("stub") }

// Lock takes a lock of this cluster, "backup" for example.
func (c *Cluster) Lock(ctx context.Context, name string) (unlock func() error, err error) {
	panic("stub")
}
