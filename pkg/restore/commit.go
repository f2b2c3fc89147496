package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// makeServerDirs makes the directories that are still missing.
func (r *run) makeServerDirs() error {
	for _, d := range pg.ServerDirs(r.major()) {
		// Opening what would lie in it makes it.
		if _, _, err := r.tree.above(d + "/x"); err != nil {
			return err
		}
	}
	return nil
}

// copyWAL puts the WAL that the backup needs, and the history of its timeline,
// into pg_wal. Each file is marked as archived, like pg_basebackup's: the
// restored server must not push what it has not written.
func (r *run) copyWAL(ctx context.Context) (err error) {
	d, _, err := r.tree.above(walDirName + "/x")
	if err != nil {
		return err
	}
	m := r.plan.backup
	if m.History != "" {
		name := pg.HistoryFileName(m.Timeline)
		if err := r.writeFile(d, name, []byte(m.History)); err != nil {
			return err
		}
	}
	if !r.recovery.CopyWAL {
		return nil
	}
	d.hold()
	defer func() { err = errors.Join(err, d.release()) }()
	status, _, err := r.tree.above(walDirName + "/archive_status/x")
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.o.Jobs)
	for _, name := range r.plan.WALFiles {
		g.Go(func() error {
			if err := r.copySegment(gctx, d, name); err != nil {
				return fmt.Errorf("WAL file %s: %w", name, err)
			}
			return r.writeFile(status, name+".done", nil)
		})
	}
	return g.Wait()
}

// copySegment writes one WAL segment, which must have the size of one.
func (r *run) copySegment(ctx context.Context, d *dir, name string) (err error) {
	in, err := r.openWAL(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := r.create(d, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	size := int64(r.plan.backup.Geometry.WALSegmentSize)
	n, err := io.Copy(out, io.LimitReader(in, size+1))
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%d bytes or more, expected %d: %w", n, size, repo.ErrCorrupt)
	}
	r.written.Add(n)
	return r.disk.settle(out)
}

// openWAL reads a WAL file from the backup, if it carries it, or from the archive.
func (r *run) openWAL(ctx context.Context, name string) (io.ReadCloser, error) {
	if need := r.plan.backup.WAL; need.Mode == repo.WALCarried && slices.Contains(need.Segments, name) {
		return r.plan.chain.Backups[0].OpenWAL(ctx, name)
	}
	return r.archive.Open(ctx, name)
}

// searchWAL reads a WAL file to look for a target in it.
func (r *run) searchWAL(ctx context.Context, name string) (io.ReadCloser, error) {
	if in, err := r.view.open(ctx, r.plan.backup, name); in != nil || err != nil {
		return in, err
	}
	return r.plan.chain.Backups[0].OpenWAL(ctx, name)
}

// create makes a new file with the server's owner and mode. What has its name goes.
func (r *run) create(d *dir, name string) (*os.File, error) {
	if err := d.root.RemoveAll(name); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	o := r.tree.owner
	if err := setOwner(d, name, o.uid, o.gid, o.fileMode, r.tree.chown); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// writeFile makes a file that the restore itself is the author of.
func (r *run) writeFile(d *dir, name string, content []byte) error {
	f, err := r.create(d, name)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, r.disk.settle(f), f.Close())
}

// configure writes what the server reads when it starts: backup_label, and how to recover.
// There is no tablespace_map: the links are right already, and the server leaves
// them as they are when there is none (StartupXLOG, access/xlog.c).
func (r *run) configure() error {
	d, _, err := r.tree.above(labelName)
	if err != nil {
		return err
	}
	m := r.plan.backup
	label := []byte(m.BackupLabel)
	if err := r.writeFile(d, labelName, label); err != nil {
		return err
	}
	mtime := m.FinishedAt
	if err := r.ledger.append(line{labelName, int64(len(label)), mtime, pg.CRC32C(label)}); err != nil {
		return err
	}
	if err := r.addSettings(d); err != nil {
		return err
	}
	if r.recovery.Signal == "" {
		return nil
	}
	return r.writeFile(d, r.recovery.Signal, nil)
}

// addSettings adds to postgresql.auto.conf, which keeps its mode.
func (r *run) addSettings(d *dir) error {
	s := r.recovery.Settings
	if len(s) == 0 {
		return nil
	}
	mode := r.tree.owner.fileMode
	conf, err := d.root.ReadFile(autoConfName)
	if err == nil {
		var st fs.FileInfo
		if st, err = d.root.Lstat(autoConfName); err == nil {
			mode = st.Mode().Perm()
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := r.writeFile(d, autoConfName, appendSettings(conf, s, r.plan.backup.ID)); err != nil {
		return err
	}
	return d.root.Chmod(autoConfName, mode)
}

// finishLedger completes backup_manifest with pg_control, which is not there yet.
func (r *run) finishLedger(control []byte) error {
	m := r.plan.backup
	err := r.ledger.append(line{controlPath, int64(len(control)), m.FinishedAt, pg.CRC32C(control)})
	if err != nil {
		return err
	}
	ranges, err := walRanges(m)
	if err != nil {
		return err
	}
	l := r.ledger
	r.ledger = nil
	return l.close(ranges)
}

// walRanges gives the stretches of WAL that the backup needs, newest timeline first.
func walRanges(m *repo.Manifest) ([]pg.WALRange, error) {
	label, err := pg.ParseBackupLabel([]byte(m.BackupLabel))
	if err != nil {
		return nil, fmt.Errorf("backup %s: %w", m.ID, err)
	}
	h, err := pg.ParseHistory(m.Timeline, []byte(m.History))
	if err != nil {
		return nil, fmt.Errorf("backup %s: %w", m.ID, err)
	}
	ranges, err := h.Ranges(label.Timeline, m.StartLSN, m.StopLSN)
	if err != nil {
		return nil, fmt.Errorf("backup %s: %w", m.ID, err)
	}
	for i, j := 0, len(ranges)-1; i < j; i, j = i+1, j-1 {
		ranges[i], ranges[j] = ranges[j], ranges[i]
	}
	return ranges, nil
}

// publish is the commit: everything else is durable, and global/pg_control gets its name.
func (r *run) publish(control []byte) error {
	top := r.tree.roots[""]
	if err := top.root.Remove(markerName); err != nil {
		return err
	}
	if err := syncDir(top); err != nil {
		return err
	}
	d, name, err := r.tree.above(controlPath)
	if err != nil {
		return err
	}
	temp := name + ".pgincr"
	f, err := r.create(d, temp)
	if err != nil {
		return err
	}
	_, err = f.Write(control)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", path.Join(d.path, temp), err)
	}
	if err := d.root.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(d)
}

// syncDir makes the names in a directory durable.
func syncDir(d *dir) error {
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
