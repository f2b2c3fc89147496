package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgincr/pgincr/pkg/keys"
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

// verify refuses what cannot be a cluster's entry.
func (i ClusterInfo) verify() error {
	if err := VerifyClusterName(i.Name); err != nil {
		return err
	}
	if i.SystemIdentifier == 0 {
		return fmt.Errorf("cluster %s: no system identifier", i.Name)
	}
	if err := i.Geometry.Verify(); err != nil {
		return fmt.Errorf("cluster %s: %w", i.Name, err)
	}
	return nil
}

// Cluster is the entry of one PostgreSQL cluster in a repository. Safe for concurrent use.
type Cluster struct {
	Info ClusterInfo

	st     Store
	prefix string // of all its objects
	d      *decompressor
	vault  *vault // nil: not encrypted
}

// name is the cluster's name in the repository.
func (c *Cluster) name() string { return strings.TrimSuffix(c.prefix, "/") }

// rootCreator is a Store whose root has to be made once.
type rootCreator interface {
	CreateRoot(ctx context.Context) error
}

// Init creates the entry. Doing it again for the same system identifier is harmless and
// gives created=false; for another one it is an error of type *SystemIdentifierError. With
// Encryption among the options a new entry is encrypted; with credentials only, none is made. The
// commit point is the appearance of cluster.json.
func Init(ctx context.Context, st Store, info ClusterInfo, options ...Option) (c *Cluster, created bool, err error) {
	info.Format = FormatVersion
	if err := info.verify(); err != nil {
		return nil, false, err
	}
	if r, ok := st.(rootCreator); ok {
		if err := r.CreateRoot(ctx); err != nil {
			return nil, false, err
		}
	}
	o := optionsOf(options)
	c, err = OpenCluster(ctx, st, info.Name, options...)
	if errors.Is(err, ErrNotFound) && o.credentials.Given() && o.encryption == nil {
		return nil, false, &KeyError{Cluster: info.Name, Reason: ErrNotEncrypted}
	}
	if errors.Is(err, ErrNotFound) {
		c, err = create(ctx, st, info, o.encryption)
		created = err == nil
		if errors.Is(err, ErrExists) { // somebody else's was quicker
			c, err = OpenCluster(ctx, st, info.Name, options...)
		}
	}
	if err == nil && o.encryption != nil && c.vault == nil {
		err = &KeyError{Cluster: info.Name, Reason: ErrNotEncrypted}
	}
	if err != nil {
		return nil, false, err
	}
	if c.Info.SystemIdentifier != info.SystemIdentifier {
		return nil, false, &SystemIdentifierError{info.Name, c.Info.SystemIdentifier, info.SystemIdentifier}
	}
	if c.Info.Geometry != info.Geometry {
		return nil, false, fmt.Errorf("cluster %s: geometry %+v in the repository, %+v of the server",
			info.Name, c.Info.Geometry, info.Geometry)
	}
	return c, created, nil
}

// create writes a new entry, its keyring before it.
func create(ctx context.Context, st Store, info ClusterInfo, e *Encryption) (*Cluster, error) {
	c := &Cluster{Info: info, st: st, prefix: info.Name + "/"}
	data, err := seal(info)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", info.Name, err)
	}
	name := c.prefix + clusterObject
	if e != nil {
		ring, d, err := keys.New(info.Name, e.Recipients, e.Passphrase)
		if err != nil {
			return nil, err
		}
		// A ring has a place of its own: one that no entry leads to is in nobody's way. It is
		// never removed here, because an entry whose creation is reported as failed may exist.
		first := ring.Generations[0].ID
		if err := c.storeRing(ctx, first, d); err != nil {
			return nil, err
		}
		c.vault = &vault{ring: ring, systemID: info.SystemIdentifier}
		if data, err = c.vault.conceal(name, data); err != nil {
			return nil, err
		}
	}
	if err := putBytes(ctx, st, name, data); err != nil {
		return nil, err
	}
	c.d, err = newDecompressor()
	return c, err
}

// OpenCluster opens an entry, or fails with ErrNotFound. Credentials among the options are
// needed for an encrypted entry, and refused for another: *KeyError.
func OpenCluster(ctx context.Context, st Store, name string, options ...Option) (*Cluster, error) {
	if err := VerifyClusterName(name); err != nil {
		return nil, err
	}
	c := &Cluster{st: st, prefix: name + "/"}
	if err := c.open(ctx, optionsOf(options).credentials); err != nil {
		if errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("cluster %s is not in repository %s: %w", name, st, ErrNotFound)
		}
		return nil, err
	}
	err := c.Info.verify()
	if err == nil && c.Info.Name != name {
		err = fmt.Errorf("it is of cluster %s", c.Info.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w: %w", c.prefix, clusterObject, ErrCorrupt, err)
	}
	if c.vault != nil {
		c.vault.systemID = c.Info.SystemIdentifier
	}
	c.d, err = newDecompressor()
	return c, err
}

// open reads cluster.json and, where that is encrypted, opens the keyring first.
func (c *Cluster) open(ctx context.Context, with keys.Credentials) error {
	name := c.prefix + clusterObject
	data, err := readObject(ctx, c.st, name)
	if err != nil {
		return err
	}
	if format, _ := sealedFormat(data); format == EncryptedFormat {
		var d secretDocument
		if err := unsealFormat(data, EncryptedFormat, &d); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if c.vault, err = c.openRing(ctx, d.Generation, with); err != nil {
			return err
		}
		if data, err = c.vault.reveal(name, data); err != nil {
			return err
		}
	} else if with.Given() {
		return &KeyError{Cluster: c.name(), Reason: ErrNotEncrypted}
	}
	if err := unseal(data, &c.Info); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// SystemIdentifierError: the entry belongs to another cluster.
type SystemIdentifierError struct {
	Cluster    string
	Have, Want uint64 // in the repository; of the server or directory
}

func (e *SystemIdentifierError) Error() string {
	return fmt.Sprintf("cluster %s: the repository's entry is of system identifier %d, this is %d",
		e.Cluster, e.Have, e.Want)
}

// backupPrefix begins the names of a backup's objects.
func (c *Cluster) backupPrefix(id string) string { return c.prefix + backupsPrefix + id + "/" }

// backupHeader identifies an object of a backup.
func (c *Cluster) backupHeader(id string, kind objectKind, number uint32) objectHeader {
	return c.header(objectHeader{Kind: kind, Number: number, Name: id})
}

// walHeader identifies a WAL file or map, in the archive or in a backup.
func (c *Cluster) walHeader(kind objectKind, name string) objectHeader {
	return c.header(objectHeader{Kind: kind, Name: name})
}

// header makes h one of this cluster.
func (c *Cluster) header(h objectHeader) objectHeader {
	h.vault = c.vault
	if h.Encrypted = c.vault != nil; !h.Encrypted {
		h.SystemID = c.Info.SystemIdentifier
	}
	return h
}
