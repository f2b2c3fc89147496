package repo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pgincr/pgincr/pkg/pg"
)

// BackupWriter fills one new backup. The commit point is Commit: the manifest appears.
// Everything earlier is garbage.
//
// Memory: that of its PackWriters, one index block, and 100 bytes for each object.
type BackupWriter struct {
	c           *Cluster
	id          string
	prefix      string // of all its objects in the store
	z           Compression
	packTarget  int64
	incremental bool
	packs       atomic.Uint32 // number of the last pack begun
	envelopes   *enveloper
	index       *indexWriter // used by one goroutine at a time
	done        bool         // committed
	unlock      func() error // of LockTaking

	mu      sync.Mutex
	objects []Object             // guarded by mu
	open    map[*PackWriter]bool // guarded by mu
}

// CreateBackup begins a backup under an id that is not taken. Until it is committed or aborted, a lock
// keeps it from being taken for the rest of one that was interrupted. Nor may there be a backup of the
// other kind and the same time.
func (c *Cluster) CreateBackup(ctx context.Context, id string, z Compression) (_ *BackupWriter, err error) {
	begun, kind, err := ParseID(id)
	if err != nil {
		return nil, err
	}
	other := TypeIncremental
	if kind == TypeIncremental {
		other = TypeFull
	}
	twin := begun.Format(idTime) + idSuffix(other)
	there, err := c.st.List(ctx, c.backupPrefix(twin), true)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 {
		return nil, fmt.Errorf("backup %s: %w, as %s", id, ErrExists, twin)
	}
	return c.createBackup(ctx, id, z)
}

// createBackup begins a backup under an id that is not taken.
func (c *Cluster) createBackup(ctx context.Context, id string, z Compression) (_ *BackupWriter, err error) {
	unlock, err := c.Lock(ctx, string(LockTaking)+"-"+id)
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("backup %s: %w: %w", id, ErrExists, err)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unlock())
		}
	}()
	held, err := c.removals(ctx)
	if err != nil {
		return nil, err
	}
	if l := removerOf(nil, id, held); l != nil {
		return nil, fmt.Errorf("backup %s: %w: %s", id, ErrExists, l)
	}
	prefix := c.backupPrefix(id)
	there, err := c.st.List(ctx, prefix, true)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 {
		return nil, fmt.Errorf("backup %s: %w", id, ErrExists)
	}
	b := &BackupWriter{
		c: c, id: id, prefix: prefix, z: z, packTarget: packTarget, unlock: unlock,
		incremental: strings.HasSuffix(id, idSuffix(TypeIncremental)),
		envelopes:   &enveloper{z: z}, open: map[*PackWriter]bool{},
	}
	// Now, because an object lives as long as the context that began it: that of the copy ends before Commit.
	fw, err := b.newObject(ctx, indexObject, kindIndex, 0)
	if err != nil {
		return nil, err
	}
	if b.index, err = newIndexWriter(fw, c.Info.Geometry, z); err != nil {
		return nil, errors.Join(err, fw.abort())
	}
	return b, nil
}

// newObject begins an object of this backup.
func (b *BackupWriter) newObject(
	ctx context.Context, name string, kind objectKind, number uint32,
) (*frameWriter, error) {
	return newFrameWriter(ctx, b.c.st, b.prefix+name, b.c.backupHeader(b.id, kind, number))
}

// addObject lists an object for the manifest under its name in the backup.
func (b *BackupWriter) addObject(name string, o Object) {
	o.Name = name
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects = append(b.objects, o)
}

// NewPackWriter gives a worker its own writer. May be called from any goroutine.
func (b *BackupWriter) NewPackWriter() *PackWriter {
	p := &PackWriter{b: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[p] = true
	return p
}

func (b *BackupWriter) packClosed(p *PackWriter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, p)
}

// AppendFile adds an entry to the index; entries come in pg.ComparePaths order. One
// goroutine at a time.
func (b *BackupWriter) AppendFile(ctx context.Context, f *File) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.index.append(f)
}

// PutControl stores the content of global/pg_control, which is copied last.
func (b *BackupWriter) PutControl(ctx context.Context, data []byte) error {
	if len(data) != pg.ControlFileSize {
		return fmt.Errorf("pg_control: %d bytes, want %d", len(data), pg.ControlFileSize)
	}
	h := b.c.backupHeader(b.id, kindControl, 0)
	o, _, err := b.envelopes.put(ctx, b.c.st, b.prefix+controlObject, h, bytes.NewReader(data))
	if err != nil {
		return err
	}
	b.addObject(controlObject, o)
	return nil
}

// PutWAL stores a WAL segment or history file that the backup carries. May be called from
// any goroutine.
func (b *BackupWriter) PutWAL(ctx context.Context, name string, r io.Reader) error {
	if err := verifyWALName(name); err != nil {
		return err
	}
	object := walPrefix + name
	o, _, err := b.envelopes.put(ctx, b.c.st, b.prefix+object, b.c.walHeader(kindWAL, name), r)
	if err != nil {
		return err
	}
	b.addObject(object, o)
	return nil
}

// Commit finishes the index, fills m.Objects and m.StoredBytes, and publishes
// the manifest. All PackWriters must be closed.
func (b *BackupWriter) Commit(ctx context.Context, m *Manifest) error {
	b.mu.Lock()
	open := len(b.open)
	b.mu.Unlock()
	if open > 0 {
		return fmt.Errorf("backup %s: %d pack writers are open", b.id, open)
	}
	if m.ID != b.id {
		return fmt.Errorf("backup %s: manifest of %q", b.id, m.ID)
	}
	o, err := b.index.commit(ctx)
	if err != nil {
		return err
	}
	b.addObject(indexObject, o)
	m.Format = FormatVersion
	m.Objects = b.objects
	slices.SortFunc(m.Objects, func(x, y Object) int { return cmp.Compare(x.Name, y.Name) })
	m.StoredBytes = 0
	for _, o := range m.Objects {
		m.StoredBytes += o.Size
	}
	if !slices.ContainsFunc(m.Objects, func(o Object) bool { return o.Name == controlObject }) {
		return fmt.Errorf("backup %s: pg_control was not stored", b.id)
	}
	data, err := encodeManifest(m)
	if err != nil {
		return fmt.Errorf("backup %s: %w", b.id, err)
	}
	name := b.prefix + manifestObject
	if data, err = b.c.vault.conceal(name, data); err != nil {
		return err
	}
	if err := b.verifyParent(ctx, m.Parent); err != nil {
		return err
	}
	if err := putBytes(ctx, b.c.st, name, data); err != nil {
		return err
	}
	b.done = true
	_ = b.unlock() // the backup is there; a lock that cannot be given up ends with the process
	return nil
}

// verifyParent refuses to commit a backup whose parent was removed, which only a lost lock makes possible.
func (b *BackupWriter) verifyParent(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	_, err := b.c.st.Stat(ctx, b.c.backupPrefix(id)+manifestObject)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("backup %s: its parent %s was removed while it was taken", b.id, id)
	}
	return err
}

// Abort removes what was written, the manifest first. After Commit it does nothing. No
// worker may be writing any more.
func (b *BackupWriter) Abort(ctx context.Context) error {
	if b.done {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var err error
	for p := range b.open {
		err = errors.Join(err, p.abort())
	}
	clear(b.open)
	err = errors.Join(err, b.index.fw.abort())
	return errors.Join(err, b.c.deleteBackup(ctx, b.id), b.unlock())
}

// putBytes stores a small object as it is.
func putBytes(ctx context.Context, st Store, name string, data []byte) error {
	w, err := st.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit(ctx)
}
