package restore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/keys"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// damaged is a small chain in memory that is damaged, and where it is restored.
type damaged struct {
	*fab
	t      *testing.T
	st     *storetest.Memory
	open   []repo.Option
	ids    []string
	want   model
	dir    string
	before string // in place: what the directory holds
}

// Whatever object of a repository is missing, and whatever byte of one is another, verifying tells and names it, and a
// restore, new or in place, names it and leaves nothing that starts, or gives what was backed up. PGINCR_DAMAGE=all
// tries every byte, PGINCR_DAMAGE=configuration those of objects with that in their name.
func TestDamage(t *testing.T) {
	for _, tt := range []struct {
		name      string
		mode      string
		encrypted bool
		inPlace   bool
	}{
		{"new", repo.WALCarried, false, false},
		{"encrypted", repo.WALCarried, true, false},
		{"in place, archived WAL", repo.WALArchived, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDamaged(t, tt.mode, tt.encrypted)
			if tt.inPlace {
				d.before = d.ids[0]
			}
			if problems, err := d.verify(); err != nil || len(problems) > 0 {
				t.Fatalf("before: %q, %v", problems, err)
			}
			noticed, kinds := 0, map[string]bool{}
			for _, name := range d.st.Names() {
				whole := d.st.Bytes(name)
				kinds[path.Base(name)] = true
				d.try(name, "missing", nil)
				for _, at := range sampled(name, len(whole)) {
					bad := bytes.Clone(whole)
					bad[at] ^= 1 << (at % 8)
					if d.try(name, fmt.Sprint("byte ", at), bad) {
						noticed++
					}
				}
				d.st.Damage(name, whole)
				if t.Failed() {
					t.FailNow()
				}
			}
			for _, kind := range []string{"configuration", "manifest.json", "index", "control"} {
				if !kinds[kind] {
					t.Errorf("no object %s", kind)
				}
			}
			t.Logf("%d objects, %d damaged bytes noticed by restores", len(d.st.Names()), noticed)
			if d.restore() != nil || d.st.Names() == nil || noticed < 50 {
				t.Errorf("%d noticed; afterwards: %v", noticed, d.restore())
			}
		})
	}
}

// sampled gives offsets from every part of an object: its headers, its end, and what lies between.
func sampled(name string, size int) (at []int) {
	step := max(1, size/12)
	wanted := os.Getenv("PGINCR_DAMAGE")
	all := wanted == "all" || wanted != "" && strings.Contains(name, wanted)
	for i := range size {
		if all || i%step == 0 || i < 176 && i%29 == 0 || i >= size-72 && (size-i)%13 == 0 {
			at = append(at, i)
		}
	}
	return at
}

// newDamaged makes a chain of three with all kinds of files.
func newDamaged(t *testing.T, mode string, encrypted bool) *damaged {
	t.Helper()
	d := &damaged{t: t, st: storetest.NewMemory(), dir: filepath.Join(pgtest.TempDir(t), "data")}
	info := repo.ClusterInfo{Name: "main", SystemIdentifier: fabSystem, PGVersion: 150018, Geometry: fabGeometry()}
	var with []repo.Option
	if encrypted {
		file, public, err := keys.Generate()
		must(t, err)
		ids, err := keys.ParseIdentities(file)
		must(t, err)
		to, err := keys.ParseRecipient(public, keys.All)
		must(t, err)
		with = append(with, repo.WithEncryption(repo.Encryption{Recipients: []keys.Recipient{to}}))
		d.open = append(d.open, repo.WithCredentials(keys.Credentials{Identities: ids}))
	}
	_, _, err := repo.Init(t.Context(), d.st, info, with...)
	must(t, err)
	c, err := repo.OpenCluster(t.Context(), d.st, "main", d.open...)
	must(t, err)
	d.fab = &fab{t: t, cluster: c, space: "/nowhere/space", mode: mode, frame: func() int { return 5 }}
	d.config = fabConfig()
	at := time.Unix(7, 0).UTC()
	one := model{
		"PG_VERSION":          {mode: 0o600, mtime: at, data: []byte("15\n")},
		"base/1/16384":        {mode: 0o600, mtime: at, pages: []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 10}},
		fabSpace + "/1/16500": {mode: 0o600, mtime: at, pages: []uint64{11, 12, 0, 13}},
	}
	two := model{
		"PG_VERSION":          one["PG_VERSION"],
		"base/1/16384":        {mode: 0o600, mtime: at, pages: []uint64{1, 22, 3, 4, 5, 26, 7, 8}},
		"postgresql.conf":     {mode: 0o600, mtime: at, data: []byte("# nothing\n")},
		fabSpace + "/1/16500": {mode: 0o600, mtime: at, pages: []uint64{11, 12, 30, 13, 14}},
	}
	d.want = model{
		"PG_VERSION":          one["PG_VERSION"],
		"base/1/16384":        {mode: 0o600, mtime: at, pages: []uint64{1, 22, 0, 4, 5, 26, 47, 8, 49}},
		"postgresql.conf":     two["postgresql.conf"],
		fabSpace + "/1/16500": two[fabSpace+"/1/16500"],
	}
	for _, m := range []model{one, two, d.want} {
		d.ids = append(d.ids, d.add(m).ID)
	}
	return d
}

// try damages an object, and judges what is made of it; it says whether the restore noticed.
func (d *damaged) try(object, what string, data []byte) bool {
	d.t.Helper()
	where := object + ", " + what
	whole := d.st.Bytes(object)
	if d.before != "" { // the directory that is rewritten is there before the damage
		must(d.t, d.run(d.before))
	}
	d.st.Damage(object, data)
	problems, err := d.verify()
	if err != nil {
		problems = append(problems, err.Error())
	}
	if text := strings.Join(problems, "\n"); !names(text, object) {
		d.t.Errorf("%s: verify says %q", where, text)
	}
	err = d.restore()
	d.st.Damage(object, whole)
	if err == nil {
		return false
	}
	switch {
	case errors.Is(err, errWrong):
		d.t.Errorf("%s: not noticed, and wrong: %v", where, err)
	case !names(err.Error(), object):
		d.t.Errorf("%s: the restore does not name it: %v", where, err)
	}
	return true
}

// names says whether a message names an object: a backup's by backup and, but for manifests, by its own name, WAL by
// that of its file, and else the cluster.
func names(text, object string) bool {
	if text == "" {
		return false
	}
	if rest, ok := strings.CutPrefix(object, "main/backups/"); ok {
		id, name, _ := strings.Cut(rest, "/")
		return strings.Contains(text, id) && (name == "manifest.json" || strings.Contains(text, name))
	}
	if strings.HasPrefix(object, "main/wal/") {
		return strings.Contains(text, path.Base(object))
	}
	return strings.Contains(text, "main")
}

// verify looks at the whole cluster as the command does.
func (d *damaged) verify() (problems []string, err error) {
	ctx := d.t.Context()
	c, err := repo.OpenCluster(ctx, d.st, "main", d.open...)
	if err != nil {
		return nil, err
	}
	all, err := c.Backups(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range d.ids {
		if _, err := c.Backup(ctx, id); err != nil {
			problems = append(problems, err.Error())
		}
	}
	v := c.NewVerifier(2, func(p repo.Problem) { problems = append(problems, p.String()) })
	for _, m := range all {
		if _, err := v.Backup(ctx, m); err != nil {
			return problems, err
		}
		if m.WAL.Mode != repo.WALArchived {
			continue
		}
		for _, name := range m.WAL.Segments {
			f, err := c.WAL(repo.Compression{}).Open(ctx, name)
			if err == nil {
				_, err = io.Copy(io.Discard, f)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				problems = append(problems, name+": "+err.Error())
			}
		}
	}
	return problems, nil
}

var errWrong = errors.New("the restored directory is wrong")

// run restores a backup.
func (d *damaged) run(id string) error {
	c, err := repo.OpenCluster(d.t.Context(), d.st, "main", d.open...)
	if err != nil {
		return err
	}
	m, err := c.Backup(d.t.Context(), id)
	if err != nil {
		return err
	}
	_, err = Run(d.t.Context(), c, m, Options{
		Target: d.dir, Jobs: 2, Delta: d.before != "", DiscardWAL: d.before != "",
		TablespaceMap: map[string]string{d.space: d.dir + "-space"}, ConfigDir: d.dir + "-etc",
	})
	return err
}

// restore restores the newest backup. What it gives is compared; what a failure leaves must not start.
func (d *damaged) restore() error {
	err := d.run(d.ids[2])
	if err == nil {
		if err = d.compare(d.dir, d.want); err == nil {
			err = errors.Join(d.compareWAL(), compareConfig(d.dir+"-etc", d.config))
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errWrong, err)
		}
	} else {
		d.afterFailure(err)
	}
	if d.before == "" {
		must(d.t, os.RemoveAll(d.dir), os.RemoveAll(d.dir+"-space"), os.RemoveAll(d.dir+"-etc"))
	}
	return err
}

// afterFailure wants nothing where there was nothing, and otherwise the old directory, or none that starts.
func (d *damaged) afterFailure(err error) {
	d.t.Helper()
	if d.before == "" {
		verifyGone(d.t, d.dir, d.dir+"-space", d.dir+"-etc")
		return
	}
	var u *UnfinishedError
	if _, serr := os.Stat(filepath.Join(d.dir, controlPath)); errors.As(err, &u) == (serr == nil) {
		d.t.Errorf("pg_control: %v, after %v", serr, err)
	}
}

// compareWAL compares what was put into pg_wal.
func (d *damaged) compareWAL() error {
	name := d.parent.WAL.Segments[0] // parent: the last that was added
	b, err := os.ReadFile(filepath.Join(d.dir, walDirName, name))
	if err == nil && !bytes.Equal(b, bytes.Repeat([]byte{byte(d.count)}, int(fabGeometry().WALSegmentSize))) {
		err = fmt.Errorf("pg_wal/%s: other content", name)
	}
	return err
}
