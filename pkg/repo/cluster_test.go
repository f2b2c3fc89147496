package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// reseal changes a sealed document and gives it the checksum that fits.
func reseal(data []byte, old, with string) []byte {
	const tail = "\"\n}\n"
	body := bytes.Replace(data[:len(data)-len(tail)-16], []byte(old), []byte(with), 1)
	return fmt.Appendf(body, "%016x%s", xxhash.Sum64(body), tail)
}

// An entry belongs to one system identifier for ever; making it again changes nothing.
func TestInit(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	for i := range 3 {
		c, created, err := repo.Init(ctx, st, testInfo())
		if err != nil || created != (i == 0) || c.Info.SystemIdentifier != testSystem {
			t.Errorf("round %d: created %v, %v", i, created, err)
		}
	}
	other := testInfo()
	other.SystemIdentifier = 99
	var wrong *repo.SystemIdentifierError
	if _, _, err := repo.Init(ctx, st, other); !errors.As(err, &wrong) || wrong.Have != testSystem || wrong.Want != 99 {
		t.Errorf("another cluster: %v", err)
	}
	other = testInfo()
	other.Geometry.BlockSize = 16384
	if _, _, err := repo.Init(ctx, st, other); err == nil {
		t.Error("another block size: accepted")
	}
	for _, name := range []string{"", "..", ".x", "a/b", "a b", "-x", "ä", strings.Repeat("x", 64)} {
		other := testInfo()
		other.Name = name
		if _, _, err := repo.Init(ctx, st, other); err == nil {
			t.Errorf("name %q: accepted", name)
		}
		if _, err := repo.OpenCluster(ctx, st, name); err == nil || errors.Is(err, repo.ErrNotFound) {
			t.Errorf("open %q: %v", name, err)
		}
	}
	if _, err := repo.OpenCluster(ctx, st, "other"); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("no entry: %v", err)
	}
}

// What a newer pgincr wrote is said to be newer, not broken, whatever the object.
func TestNewerFormat(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	storeSmallChain(t, c)
	must(t, c.WAL(zstd).Put(ctx, walSeg, strings.NewReader("x")))
	for _, object := range st.Names() {
		intact := st.Bytes(object)
		newer := bytes.Clone(intact)
		if strings.HasSuffix(object, ".json") {
			newer = reseal(intact, `"format": 1`, `"format": 3`)
		} else {
			newer[11] = 3
			copy(newer[120:128], binarySum(newer[:120]))
		}
		st.Damage(object, newer)
		if err := touch(ctx, st, object); !errors.Is(err, repo.ErrNewer) || errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("%s: %v", object, err)
		}
		st.Damage(object, intact)
	}
}

// A key that this pgincr does not know, in a document whose checksum is right, is a newer one's as well.
func TestNewerKey(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	storeSmallChain(t, c)
	for _, object := range st.Names() {
		if !strings.HasSuffix(object, ".json") {
			continue
		}
		intact := st.Bytes(object)
		st.Damage(object, reseal(intact, `"format": 1,`, `"format": 1, "colour": "blue",`))
		if err := touch(ctx, st, object); !errors.Is(err, repo.ErrNewer) || errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("%s: %v", object, err)
		}
		st.Damage(object, bytes.Replace(intact, []byte(`"format": 1,`), []byte(`"format": 1, "colour": "blue",`), 1))
		if err := touch(ctx, st, object); !errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("%s, without a checksum: %v", object, err)
		}
		st.Damage(object, intact)
	}
}

// binarySum is the checksum as it stands in a header.
func binarySum(b []byte) []byte {
	sum := xxhash.Sum64(b)
	out := make([]byte, 8)
	for i := range out {
		out[i] = byte(sum >> (56 - 8*i))
	}
	return out
}

// touch reads an object by whatever reads its kind, and gives what is said of it.
func touch(ctx context.Context, st repo.Store, object string) error {
	c, err := repo.OpenCluster(ctx, st, "main")
	if err != nil {
		return err
	}
	if strings.HasPrefix(object, "main/wal/") {
		_, err := readWAL(ctx, c.WAL(zstd).Open, walSeg)
		return err
	}
	_, id, _ := strings.Cut(object, "backups/")
	m, err := c.Backup(ctx, id[:len(fullID)])
	if err != nil {
		return err
	}
	var found error
	v := c.NewVerifier(1, func(p repo.Problem) {
		if found == nil || strings.Contains(p.Err.Error(), object) {
			found = p.Err
		}
	})
	_, err = v.Backup(ctx, m)
	return errors.Join(found, err)
}

// Ids are made of the time and never collide, neither with the same second nor with the other type.
func TestNewID(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 38, 10, 999, time.FixedZone("CET", 3600))
	taken := map[string]bool{}
	is := func(id string) bool { return taken[id] }
	for _, want := range []string{
		"20261123T083810Z-F", "20261123T083811Z-I", "20261123T083812Z-F", "20261123T083813Z-I",
	} {
		kind := map[byte]string{'F': repo.TypeFull, 'I': repo.TypeIncremental}[want[17]]
		id := repo.NewID(now, kind, is)
		if id != want {
			t.Errorf("%s, want %s", id, want)
		}
		taken[id] = true
		if _, parsed, err := repo.ParseID(id); err != nil || parsed != kind {
			t.Errorf("%s: %s, %v", id, parsed, err)
		}
	}
	for _, id := range []string{
		"", "latest", "20261123T083810Z", "20261123T083810Z-X", "20261323T083810Z-F", "20261123T083860Z-F",
		"20261123T083810Z-F/", "2026-11-23T08:38:10Z-F",
	} {
		if _, _, err := repo.ParseID(id); err == nil {
			t.Errorf("%q: accepted", id)
		}
	}
}

// onHistory gives a manifest on a timeline.
func onHistory(id, parent string, tli pg.TimelineID, start, stop pg.LSN, history string) *repo.Manifest {
	m := testManifest(id, parent, start)
	m.StopLSN, m.Timeline, m.History = stop, tli, history
	return m
}

// ids gives those of a list.
func ids(ms []*repo.Manifest) (ids []string) {
	for _, m := range ms {
		ids = append(ids, m.ID)
	}
	return ids
}

// Backups come in the order of timelines and positions, whatever the clocks said when they
// were taken.
func TestBackupsOrder(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	const switched = "1\t0/6000000\tno recovery target specified\n"
	for _, m := range []*repo.Manifest{
		onHistory("20261125T000000Z-F", "", 1, 0x2000000, 0x2000100, ""),
		onHistory("20261124T000000Z-I", "20261125T000000Z-F", 1, 0x3000000, 0x3000100, ""), // the clock went back
		onHistory("20261124T000001Z-I", "20261124T000000Z-I", 1, 0x3000000, 0x3000100, ""),
		onHistory("20261124T000002Z-I", "20261124T000001Z-I", 1, 0x3000000, 0x3000100, ""), // on a standby
		onHistory("20261126T000000Z-F", "", 1, 0x9000000, 0x9000100, ""),
		onHistory("20261127T000000Z-F", "", 2, 0x7000000, 0x7000100, switched), // after a recovery to before that
	} {
		_, err := store(ctx, c, m, smallFull)
		must(t, err)
	}
	all, err := c.Backups(ctx)
	must(t, err)
	want := []string{
		"20261125T000000Z-F", "20261124T000000Z-I", "20261124T000001Z-I", "20261124T000002Z-I",
		"20261126T000000Z-F", "20261127T000000Z-F",
	}
	if d := cmp.Diff(want, ids(all)); d != "" {
		t.Error(d)
	}
	if m, err := c.Backup(ctx, repo.Latest); err != nil || m.ID != "20261127T000000Z-F" {
		t.Errorf("latest: %v, %v", m, err)
	}
	m, err := c.Backup(ctx, "20261124T000002Z-I")
	must(t, err)
	chain, err := c.Chain(ctx, m)
	if d := cmp.Diff(want[:4], ids(chain)); d != "" || err != nil {
		t.Error(d, err)
	}
}

// A broken manifest is listed as such and with its cause, and the latest backup is not
// silently an older one.
func TestBrokenManifest(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	if _, err := c.Backup(ctx, repo.Latest); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("latest of none: %v", err)
	}
	storeSmallChain(t, c)
	for _, id := range []string{fullID, incrID} {
		object := "main/backups/" + id + "/manifest.json"
		intact := st.Bytes(object)
		st.Damage(object, bytes.Replace(intact, []byte(`"timeline": 1`), []byte(`"timeline": 2`), 1))
		all, err := c.Backups(ctx)
		must(t, err)
		if len(all) != 2 || all[0].ID != id || all[0].Status != repo.StatusBroken || len(all[0].Warnings) != 1 ||
			!strings.Contains(all[0].Warnings[0], "checksum") || all[1].Status != repo.StatusOK {
			t.Errorf("%s: %+v", id, all)
		}
		if _, err := c.Backup(ctx, id); !errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("%s: %v", id, err)
		}
		if _, err := c.OpenBackup(ctx, all[0]); !errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("open %s: %v", id, err)
		}
		m, err := c.Backup(ctx, repo.Latest)
		if id == incrID && !errors.Is(err, repo.ErrCorrupt) || id == fullID && (err != nil || m.ID != incrID) {
			t.Errorf("latest while %s is broken: %v, %v", id, m, err)
		}
		if m != nil {
			if _, err := c.Chain(ctx, m); !errors.Is(err, repo.ErrCorrupt) {
				t.Errorf("chain over a broken parent: %v", err)
			}
		}
		st.Damage(object, intact)
	}
	for name, change := range map[string][2]string{
		"no backup":           {`"status": "ok"`, `"status": "broken"`},
		"another id":          {`"id": "` + incrID, `"id": "20261123T083812Z-I`},
		"another type":        {`"type": "incremental"`, `"type": "full"`},
		"no parent":           {`"parent": "` + fullID, `"parent": "`},
		"its own parent":      {`"parent": "` + fullID, `"parent": "` + incrID},
		"backwards":           {`"stop_lsn": "0/3000138"`, `"stop_lsn": "0/2000138"`},
		"another cluster":     {`"cluster": "main"`, `"cluster": "other"`},
		"another system":      {fmt.Sprint(testSystem), "1"},
		"another block size":  {`"block_size": 8192`, `"block_size": 16384`},
		"object out of place": {`"name": "index"`, `"name": "../index"`},
		"object not in order": {`"name": "index"`, `"name": "a"`},
		"object without size": {`"size": `, `"size": -`},
	} {
		object := "main/backups/" + incrID + "/manifest.json"
		intact := st.Bytes(object)
		damaged := reseal(intact, change[0], change[1])
		st.Damage(object, damaged)
		if _, err := c.Backup(ctx, incrID); !errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		st.Damage(object, intact)
	}
}

// A chain is refused where parent and child do not fit.
func TestChainRefuses(t *testing.T) {
	const (
		history2 = "1\t0/6000000\tno recovery target specified\n"
		parent   = "20261123T000000Z-F"
		child    = "20261124T000000Z-I"
	)
	for name, test := range map[string]struct {
		parent, child *repo.Manifest
		want          string
	}{
		"fits": {
			onHistory(parent, "", 1, 0x2000000, 0x3000000, ""), onHistory(child, parent, 1, 0x4000000, 0x5000000, ""), "",
		},
		"fits across a promotion": {
			onHistory(parent, "", 1, 0x2000000, 0x3000000, ""), onHistory(child, parent, 2, 0x7000000, 0x8000000, history2), "",
		},
		"parent past the promotion": {
			onHistory(parent, "", 1, 0x2000000, 0x6500000, ""), onHistory(child, parent, 2, 0x7000000, 0x8000000, history2),
			"did not live through",
		},
		"parent on a younger timeline": {
			onHistory(parent, "", 2, 0x6500000, 0x6600000, history2), onHistory(child, parent, 1, 0x7000000, 0x8000000, ""),
			"did not live through",
		},
		"starts before its parent": {
			onHistory(parent, "", 1, 0x4000000, 0x5000000, ""), onHistory(child, parent, 1, 0x3000000, 0x6000000, ""),
			"starts at",
		},
		"stops before its parent": {
			onHistory(parent, "", 1, 0x2000000, 0x5000000, ""), onHistory(child, parent, 1, 0x3000000, 0x4000000, ""),
			"stops at",
		},
		"no parent": {
			nil, onHistory(child, parent, 1, 0x3000000, 0x4000000, ""), "its parent " + parent + " is missing",
		},
		"history that is none": {
			onHistory(parent, "", 1, 0x2000000, 0x3000000, ""), onHistory(child, parent, 2, 0x7000000, 0x8000000, "?"),
			"history",
		},
	} {
		st := storetest.NewMemory()
		c := newTestCluster(t, st)
		lost := test.parent == nil
		if lost {
			test.parent = onHistory(parent, "", 1, 0x2000000, 0x5000000, "")
		}
		for _, m := range []*repo.Manifest{test.parent, test.child} {
			_, err := store(t.Context(), c, m, smallFull)
			must(t, err)
		}
		if lost {
			st.Damage("main/backups/"+parent+"/manifest.json", nil)
		}
		m, err := c.Backup(t.Context(), child)
		must(t, err)
		_, err = c.Chain(t.Context(), m)
		if test.want == "" && err != nil ||
			test.want != "" && (!errors.Is(err, repo.ErrCorrupt) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// The same input gives the same bytes.
func TestSameInputSameBytes(t *testing.T) {
	first, second := storetest.NewMemory(), storetest.NewMemory()
	for _, st := range []*storetest.Memory{first, second} {
		storeSmallChain(t, newTestCluster(t, st))
	}
	if d := cmp.Diff(first.Names(), second.Names()); d != "" {
		t.Error(d)
	}
	for _, name := range first.Names() {
		if !bytes.Equal(first.Bytes(name), second.Bytes(name)) {
			t.Errorf("%s: differs", name)
		}
	}
}

// An id is given once, also when its backup was never finished.
func TestCreateBackupOnce(t *testing.T) {
	ctx := t.Context()
	c := newTestCluster(t, storetest.NewMemory())
	b, err := c.CreateBackup(ctx, fullID, zstd)
	must(t, err)
	must(t, b.PutControl(ctx, make([]byte, pg.ControlFileSize)))
	if _, err := c.CreateBackup(ctx, fullID, zstd); !errors.Is(err, repo.ErrExists) {
		t.Errorf("unfinished: %v", err)
	}
	if all, err := c.Backups(ctx); len(all) != 0 || err != nil {
		t.Errorf("listed: %v, %v", all, err)
	}
	if _, err := c.Backup(ctx, fullID); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("found: %v", err)
	}
	must(t, b.Abort(ctx))
	_, err = c.CreateBackup(ctx, fullID, zstd)
	must(t, err)
	if _, err := c.CreateBackup(ctx, "../../etc", zstd); err == nil {
		t.Error("an id that is none: accepted")
	}
}

// A lock says who has it.
func TestLockOwner(t *testing.T) {
	c := newTestCluster(t, newTestStore(t))
	unlock, err := c.Lock(t.Context(), "backup")
	must(t, err)
	_, err = c.Lock(t.Context(), "backup")
	owner := regexp.MustCompile(`locked by repo\.test, process [1-9][0-9]* on .+, since 20[0-9-]+T[0-9:]+Z$`)
	if !errors.Is(err, repo.ErrLocked) || !owner.MatchString(err.Error()) {
		t.Errorf("%v", err)
	}
	must(t, unlock())
	for _, name := range []string{"", "a/b", "..", ".x"} {
		if _, err := c.Lock(t.Context(), name); err == nil || errors.Is(err, repo.ErrLocked) {
			t.Errorf("lock %q: %v", name, err)
		}
	}
}
