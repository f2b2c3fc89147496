package repo

import (
	"bytes"
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
// Everything earlier is garbage, or what the next attempt takes up (ResumeBackup).
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
	earlier     *Earlier     // nil: begun anew
	publishing  bool         // the manifest may be there, and this one's
	done        bool         // committed
	unlock      func() error // of LockTaking

	mu       sync.Mutex
	objects  []Object             // guarded by mu
	finished []uint32             // packs whose files are listed; guarded by mu
	open     map[*PackWriter]bool // guarded by mu
}

// CreateBackup begins a backup under an id that is not taken. Until it is committed or aborted, a lock
// keeps it from being taken for the rest of one that was interrupted. Nor may there be a backup of the
// other kind and the same time.
func (c *Cluster) CreateBackup(ctx context.Context, id string, z Compression) (_ *BackupWriter, err error) {
	if err := c.verifyNoTwin(ctx, id); err != nil {
		return nil, err
	}
	return c.createBackup(ctx, id, z)
}

// verifyNoTwin refuses the id of which there is one of the other kind and the same time.
func (c *Cluster) verifyNoTwin(ctx context.Context, id string) error {
	begun, kind, err := ParseID(id)
	if err != nil {
		return err
	}
	other := TypeIncremental
	if kind == TypeIncremental {
		other = TypeFull
	}
	twin := begun.Format(idTime) + idSuffix(other)
	there, err := c.st.List(ctx, c.backupPrefix(twin), true)
	if err == nil && len(there) > 0 {
		err = fmt.Errorf("backup %s: %w, as %s", id, ErrExists, twin)
	}
	return err
}

// createBackup begins a backup under an id that is not taken.
func (c *Cluster) createBackup(ctx context.Context, id string, z Compression) (_ *BackupWriter, err error) {
	unlock, there, err := c.lockTaking(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 {
		return nil, errors.Join(fmt.Errorf("backup %s: %w", id, ErrExists), unlock())
	}
	return c.newBackupWriter(ctx, id, z, unlock)
}

// lockTaking takes the lock of who writes a backup, and lists what there is under its id. ErrExists: somebody
// writes or removes it.
func (c *Cluster) lockTaking(ctx context.Context, id string) (unlock func() error, there []ObjectInfo, err error) {
	unlock, err = c.Lock(ctx, string(LockTaking)+"-"+id)
	if errors.Is(err, ErrLocked) {
		return nil, nil, fmt.Errorf("backup %s: %w: %w", id, ErrExists, err)
	}
	if err != nil {
		return nil, nil, err
	}
	held, err := c.removals(ctx)
	if err == nil {
		if l := removerOf(nil, id, held); l != nil {
			err = fmt.Errorf("backup %s: %w: %s", id, ErrExists, l)
		}
	}
	if err == nil {
		there, err = c.st.List(ctx, c.backupPrefix(id), true)
	}
	if err != nil {
		return nil, nil, errors.Join(err, unlock())
	}
	return unlock, there, nil
}

// newBackupWriter makes the writer. After an error the lock is given up.
func (c *Cluster) newBackupWriter(
	ctx context.Context, id string, z Compression, unlock func() error,
) (_ *BackupWriter, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, unlock())
		}
	}()
	b := &BackupWriter{
		c: c, id: id, prefix: c.backupPrefix(id), z: z, packTarget: packTarget, unlock: unlock,
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

// addFinished notes a pack that is stored with the list of its files.
func (b *BackupWriter) addFinished(pack uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finished = append(b.finished, pack)
}

// Earlier is what can be taken over from interrupted attempts; nil: the backup was begun anew.
func (b *BackupWriter) Earlier() *Earlier { return b.earlier }

// ID is the backup's.
func (b *BackupWriter) ID() string { return b.id }

// SetPackSize makes packs end at another size than 256 MiB, from 1 byte on. To be called before NewPackWriter.
func (b *BackupWriter) SetPackSize(n int64) { b.packTarget = n }

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
	if err := b.earlier.use(ctx, f); err != nil {
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
	m.Objects, m.TakenOver = b.earlier.taken(b.objects), b.earlier.takenOver()
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
	if err := b.verifyObjects(ctx, m.Objects); err != nil {
		return err
	}
	b.publishing = true
	if err := putBytes(ctx, b.c.st, name, data); err != nil {
		b.publishing = !errors.Is(err, ErrExists)
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

// verifyObjects refuses to commit a backup of which something was removed, which only a lost lock makes possible:
// somebody else took up the same attempt.
func (b *BackupWriter) verifyObjects(ctx context.Context, objects []Object) error {
	there, err := b.c.st.List(ctx, b.prefix, true)
	if err != nil {
		return err
	}
	sizes := sizesOf(there)
	for _, o := range objects {
		if size, ok := sizes[o.Name]; !ok || size != o.Size {
			return fmt.Errorf("backup %s: %s was removed while it was taken", b.id, o.Name)
		}
	}
	return nil
}

// Abort removes what was written, by earlier attempts as well, the manifest first. After Commit it does
// nothing. No worker may be writing any more.
func (b *BackupWriter) Abort(ctx context.Context) error {
	_, err := b.end(ctx, false)
	return err
}

// end drops what is open and removes what was written: all, or what the next attempt does not take up.
func (b *BackupWriter) end(ctx context.Context, leave bool) (left Left, err error) {
	if b.done {
		return left, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.open {
		err = errors.Join(err, p.abort())
	}
	clear(b.open)
	err = errors.Join(err, b.index.fw.abort(), b.earlier.close())
	foreign, failed := b.foreign(ctx)
	switch {
	case foreign || failed != nil:
	case leave:
		left, failed = b.leave(ctx)
	default:
		failed = b.c.deleteBackup(ctx, b.id)
	}
	return left, errors.Join(err, failed, b.unlock())
}

// foreign says whether somebody else has committed a backup under this id, which only a lost lock makes possible.
func (b *BackupWriter) foreign(ctx context.Context) (bool, error) {
	if b.publishing {
		return false, nil
	}
	_, err := b.c.st.Stat(ctx, b.prefix+manifestObject)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
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
