package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pg"
)

// maxMap bounds a page map that GetMap gives.
const maxMap = 1 << 30

// WALArchive is the archived WAL of a cluster: segments, history files, and page maps
// beside them. It satisfies wal.Archive. Safe for concurrent use.
type WALArchive struct {
	c *Cluster
	e *enveloper
}

// WAL gives the cluster's archive. z compresses what is put.
func (c *Cluster) WAL(z Compression) *WALArchive {
	return &WALArchive{c: c, e: &enveloper{z: z}}
}

// verifyWALName accepts the names PostgreSQL archives: segments, .partial, .history, .backup.
func verifyWALName(name string) error {
	if !pg.IsWALFileName(name) && !pg.IsPartialWALFileName(name) && !pg.IsBackupHistoryFileName(name) {
		if _, ok := pg.ParseHistoryFileName(name); !ok {
			return fmt.Errorf("%q is not the name of a WAL file", name)
		}
	}
	return nil
}

// walObject gives the place of a WAL file: history files lie beside the directories of the
// timelines.
func (a *WALArchive) walObject(name string) (string, error) {
	if err := verifyWALName(name); err != nil {
		return "", err
	}
	if _, ok := pg.ParseHistoryFileName(name); ok {
		return a.c.prefix + walPrefix + name, nil
	}
	return a.c.prefix + walPrefix + name[:8] + "/" + name, nil
}

// Put stores a WAL file under its name (segment, .partial, .history, .backup). Identical
// content stored already, and intact: nil. Different content: an error that is ErrExists.
// The commit point is the object's appearance.
func (a *WALArchive) Put(ctx context.Context, name string, r io.Reader) error {
	object, err := a.walObject(name)
	if err != nil {
		return err
	}
	h := a.c.walHeader(kindWAL, name)
	// PostgreSQL asks for what a backlog stored before: that is compared, not stored once more.
	there, err := glance(ctx, a.c.st, object)
	var offered content
	switch {
	case err != nil:
	case there:
		offered, err = contentOf(r)
	default:
		if _, offered, err = a.e.put(ctx, a.c.st, object, h, r); err == nil {
			return nil
		}
		if errors.Is(err, ErrExists) { // stored meanwhile
			err = nil
		}
	}
	if err != nil {
		return err
	}
	stored, err := a.content(ctx, object, h)
	if err != nil {
		return fmt.Errorf("the copy that is stored cannot be trusted: %w", err)
	}
	if stored != offered {
		return fmt.Errorf("%s: other content of %d bytes is stored, offered were %d: %w",
			object, stored.Size, offered.Size, ErrExists)
	}
	return nil
}

// contentOf reads r to its end and tells what it held.
func contentOf(r io.Reader) (content, error) {
	sum := xxhash.New()
	n, err := io.CopyBuffer(sum, r, make([]byte, 256<<10))
	return content{Size: uint64(max(n, 0)), Sum: sum.Sum64()}, err
}

// Same says whether a stored WAL file holds what r does, or fails with ErrNotFound. Who may not read WAL
// may ask nevertheless.
func (a *WALArchive) Same(ctx context.Context, name string, r io.Reader) (bool, error) {
	object, err := a.walObject(name)
	if err != nil {
		return false, err
	}
	stored, err := a.content(ctx, object, a.c.walHeader(kindWAL, name))
	if err != nil {
		return false, err
	}
	offered, err := contentOf(r)
	return stored == offered, err
}

// content reads an object through, which verifies it, and tells what it holds. Who may not
// read its frames verifies them as they are stored.
func (a *WALArchive) content(ctx context.Context, object string, h objectHeader) (content, error) {
	r, err := openEnvelope(ctx, a.c.st, a.c.d, object, h)
	if err != nil {
		return content{}, err
	}
	if r.fr.bind.locked != nil {
		c, err := r.fr.walk(ctx)
		return c, errors.Join(err, r.Close())
	}
	_, err = io.Copy(io.Discard, r)
	return r.total, errors.Join(err, r.Close())
}

// Open reads a WAL file, or fails with ErrNotFound. The reader fails at the end if the
// content is not what was stored.
func (a *WALArchive) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	object, err := a.walObject(name)
	if err != nil {
		return nil, err
	}
	return openEnvelope(ctx, a.c.st, a.c.d, object, a.c.walHeader(kindWAL, name))
}

// Has says whether a WAL file is there.
func (a *WALArchive) Has(ctx context.Context, name string) (bool, error) {
	object, err := a.walObject(name)
	if err != nil {
		return false, err
	}
	return a.there(ctx, object)
}

func (a *WALArchive) there(ctx context.Context, object string) (bool, error) {
	_, err := a.c.st.Stat(ctx, object)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Lacking gives those of WAL files that are not there, as far as a glance shows: it is for who puts them next.
func (a *WALArchive) Lacking(ctx context.Context, names []string) ([]string, error) {
	if seeks(a.c.st) {
		return a.lackingByLists(ctx, names)
	}
	lacks := make([]bool, len(names))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(listWorkers)
	for i, name := range names {
		g.Go(func() error {
			object, err := a.walObject(name)
			if err != nil {
				return err
			}
			there, err := glance(gctx, a.c.st, object)
			lacks[i] = !there
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var lacking []string
	for i, name := range names {
		if lacks[i] {
			lacking = append(lacking, name)
		}
	}
	return lacking, nil
}

// lackingByLists is Lacking by one listing for each timeline, from the first of the names on: what waits to be
// archived is at its end.
func (a *WALArchive) lackingByLists(ctx context.Context, names []string) ([]string, error) {
	first := map[uint32]string{} // of each timeline, 0 for history files
	timeline := func(name string) uint32 {
		if _, ok := pg.ParseHistoryFileName(name); ok {
			return 0
		}
		tli, _ := strconv.ParseUint(name[:8], 16, 32) // it was verified
		return uint32(tli)
	}
	for _, name := range names {
		if err := verifyWALName(name); err != nil {
			return nil, err
		}
		if old, ok := first[timeline(name)]; !ok || name < old {
			first[timeline(name)] = name
		}
	}
	there := map[string]bool{}
	for tli, name := range first {
		// What is greater than its beginning may be the name itself.
		found, err := a.List(ctx, tli, name[:len(name)-1])
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			there[f] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return there[name] }), nil
}

// List gives the names of the archived WAL files of one timeline (segments, .partial,
// .backup) that are greater than after, sorted; timeline 0: the history files.
func (a *WALArchive) List(ctx context.Context, timeline uint32, after string) ([]string, error) {
	prefix := a.c.prefix + walPrefix
	var found []ObjectInfo
	var err error
	if timeline == 0 { // there are few, and the timelines beside them
		found, err = a.c.st.List(ctx, prefix, false)
	} else {
		found, err = listAfter(ctx, a.c.st, prefix+fmt.Sprintf("%08X/", timeline), after)
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, o := range found {
		_, isHistory := pg.ParseHistoryFileName(o.Name)
		if verifyWALName(o.Name) == nil && isHistory == (timeline == 0) && o.Name > after {
			names = append(names, o.Name)
		}
	}
	return names, nil
}

// Timelines gives the timelines of which WAL files are archived, sorted.
func (a *WALArchive) Timelines(ctx context.Context) ([]uint32, error) {
	found, err := a.c.st.List(ctx, a.c.prefix+walPrefix, false)
	if err != nil {
		return nil, err
	}
	var timelines []uint32
	for _, o := range found {
		dir, isDir := strings.CutSuffix(o.Name, "/")
		if tli, ok := pg.ParseHistoryFileName(dir + ".history"); ok && isDir {
			timelines = append(timelines, uint32(tli))
		}
	}
	return timelines, nil
}

// mapObject gives the place of a map: below the first eight characters of its name, which
// are the timeline in names that begin like those of segments.
func (a *WALArchive) mapObject(name string) (string, error) {
	if err := verifyElement(name); err != nil || len(name) < 8 || len(name) > maxHeaderName {
		return "", fmt.Errorf("%q cannot be the name of a map", name)
	}
	return a.c.prefix + mapsPrefix + name[:8] + "/" + name, nil
}

// PutMap stores the page map of a segment or range under a name, replacing nothing: an
// existing one stays.
func (a *WALArchive) PutMap(ctx context.Context, name string, data []byte) error {
	object, err := a.mapObject(name)
	if err != nil {
		return err
	}
	if len(data) > maxMap {
		return fmt.Errorf("map %s: %d bytes, more than %d", name, len(data), maxMap)
	}
	_, _, err = a.e.put(ctx, a.c.st, object, a.c.walHeader(kindMap, name), bytes.NewReader(data))
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// HasMap says whether a page map is there.
func (a *WALArchive) HasMap(ctx context.Context, name string) (bool, error) {
	object, err := a.mapObject(name)
	if err != nil {
		return false, err
	}
	return a.there(ctx, object)
}

// GetMap reads a page map, or fails with ErrNotFound.
func (a *WALArchive) GetMap(ctx context.Context, name string) ([]byte, error) {
	object, err := a.mapObject(name)
	if err != nil {
		return nil, err
	}
	r, err := openEnvelope(ctx, a.c.st, a.c.d, object, a.c.walHeader(kindMap, name))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxMap+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if len(data) > maxMap {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", object, ErrCorrupt, maxMap)
	}
	return data, nil
}

// ListMaps gives the names of the stored maps that are greater than after, sorted.
func (a *WALArchive) ListMaps(ctx context.Context, after string) ([]string, error) {
	object := after
	if len(after) >= 8 {
		object = after[:8] + "/" + after
	}
	found, err := listAfter(ctx, a.c.st, a.c.prefix+mapsPrefix, object)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(found))
	for i, o := range found {
		names[i] = o.Name[strings.LastIndexByte(o.Name, '/')+1:]
	}
	slices.Sort(names)
	return names, nil
}
