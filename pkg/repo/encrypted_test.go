package repo_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/keys"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// keyPair is a new private key and its recipient.
func keyPair(t testing.TB, scope keys.Scope) (keys.Credentials, keys.Recipient) {
	t.Helper()
	file, public, err := keys.Generate()
	must(t, err)
	ids, err := keys.ParseIdentities(file)
	must(t, err)
	r, err := keys.ParseRecipient(public, scope)
	must(t, err)
	return keys.Credentials{Identities: ids}, r
}

// passphrase gives the credentials of who knows it.
func passphrase(text string) keys.Credentials {
	return keys.Credentials{Passphrase: func(context.Context) (string, error) { return text, nil }}
}

// encrypted is an encrypted cluster and who has keys to it.
type encrypted struct {
	st          repo.Store
	owner       *repo.Cluster
	all, host   keys.Credentials
	allR, host1 keys.Recipient
}

func newEncrypted(t testing.TB, st repo.Store, info repo.ClusterInfo) *encrypted {
	t.Helper()
	e := &encrypted{st: st}
	e.all, e.allR = keyPair(t, keys.All)
	e.host, e.host1 = keyPair(t, keys.Backup)
	c, created, err := repo.Init(t.Context(), st, info,
		repo.WithEncryption(repo.Encryption{Recipients: []keys.Recipient{e.allR, e.host1}}))
	must(t, err)
	if !created || !c.Encrypted() {
		t.Fatal("not created")
	}
	e.owner = e.open(t, e.all)
	return e
}

func (e *encrypted) open(t testing.TB, c keys.Credentials) *repo.Cluster {
	t.Helper()
	opened, err := repo.OpenCluster(t.Context(), e.st, "main", repo.WithCredentials(c))
	must(t, err)
	return opened
}

// What is read from an encrypted cluster is what is read from another one, and verify finds
// nothing wrong.
func TestEncryptedChain(t *testing.T) {
	plainly := newTestCluster(t, newTestStore(t))
	storeSmallChain(t, plainly)
	want, err := readAll(t.Context(), plainly, incrID)
	must(t, err)
	e := newEncrypted(t, newTestStore(t), testInfo())
	storeSmallChain(t, e.open(t, e.host))
	got, err := readAll(t.Context(), e.owner, incrID)
	must(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if ok, problems := verify(t, e.owner, incrID); !ok {
		t.Errorf("%q", problems)
	}
	if e.owner.Info != plainly.Info {
		t.Errorf("%+v", e.owner.Info)
	}
}

// A host with a backup key lists, reads indexes and page hashes, builds on a parent and archives
// WAL, but reads no page, no WAL and no control file.
func TestBackupKey(t *testing.T) {
	ctx := t.Context()
	e := newEncrypted(t, newTestStore(t), testInfo())
	storeSmallChain(t, e.owner)
	host := e.open(t, e.host)
	must(t, e.owner.WAL(zstd).Put(ctx, walSeg, strings.NewReader("content")))
	must(t, host.WAL(zstd).PutMap(ctx, walSeg, []byte("map")))
	if got, err := host.WAL(zstd).GetMap(ctx, walSeg); err != nil || string(got) != "map" {
		t.Errorf("map: %q, %v", got, err)
	}
	// The same content again is known without being readable, other content is not the same.
	must(t, host.WAL(zstd).Put(ctx, walSeg, strings.NewReader("content")))
	for _, other := range []string{"Content", "content ", ""} {
		if err := host.WAL(zstd).Put(ctx, walSeg, strings.NewReader(other)); !errors.Is(err, repo.ErrExists) {
			t.Errorf("%q: %v", other, err)
		}
	}
	m, err := host.Backup(ctx, repo.Latest)
	must(t, err)
	ch, err := host.OpenChain(ctx, m)
	must(t, err)
	defer func() { must(t, ch.Close()) }()
	frames := 0
	for cf, err := range ch.Files(ctx) {
		must(t, err)
		if cf.Versions[0].Kind == repo.KindRelation {
			hashes, err := cf.PageHashes(ctx, ch, m.Geometry)
			if err != nil || len(hashes) != 5 {
				t.Errorf("%s: %d hashes, %v", cf.Path, len(hashes), err)
			}
		}
		pieces, _, err := cf.Resolve(m.Geometry)
		must(t, err)
		for _, p := range pieces {
			frames++
			_, err := ch.Backups[p.Depth].ReadFrame(ctx, p.Frame, nil)
			notPermitted(t, "frame", err)
		}
	}
	if frames == 0 {
		t.Error("no frame tried")
	}
	_, err = ch.Backups[0].Control(ctx)
	notPermitted(t, "control file", err)
	_, err = readWAL(ctx, ch.Backups[0].OpenWAL, walSeg)
	notPermitted(t, "carried WAL", err)
	_, err = readWAL(ctx, host.WAL(zstd).Open, walSeg)
	notPermitted(t, "archived WAL", err)
	notPermitted(t, "cluster", host.VerifyReadsData())
	notPermitted(t, "keyring", host.ChangeRing(ctx, (*keys.Ring).Rotate))
}

func notPermitted(t *testing.T, what string, err error) {
	t.Helper()
	var k *repo.KeyError
	if !errors.As(err, &k) || !errors.Is(err, keys.ErrNotPermitted) || errors.Is(err, repo.ErrCorrupt) {
		t.Errorf("%s: %v", what, err)
	}
}

// An archived file that is damaged is not taken for the same one, although the host cannot read it.
func TestBackupKeyNoticesDamage(t *testing.T) {
	st := storetest.NewMemory()
	e := newEncrypted(t, st, testInfo())
	host := e.open(t, e.host).WAL(zstd)
	must(t, host.Put(t.Context(), walSeg, strings.NewReader("content")))
	const object = "main/wal/00000001/" + walSeg
	intact := st.Bytes(object)
	for i := range intact {
		damaged := bytes.Clone(intact)
		damaged[i] ^= 1 << (i % 8)
		st.Damage(object, damaged)
		if err := host.Put(t.Context(), walSeg, strings.NewReader("content")); err == nil {
			t.Errorf("byte %d: not noticed", i)
		}
	}
}

// Each way not to have the key has its own reason, and none is taken for damage.
func TestWrongKeys(t *testing.T) {
	ctx := t.Context()
	e := newEncrypted(t, newTestStore(t), testInfo())
	stranger, _ := keyPair(t, keys.All)
	for name, c := range map[string]struct {
		with keys.Credentials
		want error
	}{
		"none":                       {keys.Credentials{}, keys.ErrNoKey},
		"a stranger's":               {stranger, keys.ErrWrongKey},
		"a passphrase for no reason": {passphrase("correct horse battery"), keys.ErrWrongKey},
	} {
		_, err := repo.OpenCluster(ctx, e.st, "main", repo.WithCredentials(c.with))
		var k *repo.KeyError
		if !errors.As(err, &k) || !errors.Is(err, c.want) || errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	both := keys.Credentials{Identities: append(stranger.Identities, e.all.Identities...)}
	must(t, e.open(t, both).VerifyReadsData())
	// Nothing is written in clear by who means to encrypt.
	inClear := newTestStore(t)
	newTestCluster(t, inClear)
	_, err := repo.OpenCluster(ctx, inClear, "main", repo.WithCredentials(e.all))
	if !errors.Is(err, repo.ErrNotEncrypted) {
		t.Errorf("plain entry: %v", err)
	}
	mean := repo.Encryption{Recipients: []keys.Recipient{e.allR}}
	_, _, err = repo.Init(ctx, inClear, testInfo(), repo.WithEncryption(mean))
	if !errors.Is(err, repo.ErrNotEncrypted) {
		t.Errorf("plain entry, to be encrypted: %v", err)
	}
	if _, created, err := repo.Init(ctx, e.st, testInfo(), repo.WithCredentials(e.host)); err != nil || created {
		t.Errorf("again: %v, %v", created, err)
	}
}

// Nothing that is meant to be secret can be found in what is stored.
func TestNothingInClear(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	e := newEncrypted(t, st, testInfo())
	const secret = "number of a credit card"
	m := testManifest(fullID, "", 0x2000028)
	m.Annotations = map[string]string{"k": secret}
	m.WAL.Segments, m.WAL.Mode = nil, repo.WALArchived
	b, err := e.owner.CreateBackup(ctx, fullID, repo.Compression{})
	must(t, err)
	w := b.NewPackWriter()
	f, err := plain(ctx, w, "secret.conf", []byte(strings.Repeat(secret, 10)))
	must(t, err)
	must(t, w.Close(ctx))
	must(t, b.AppendFile(ctx, f))
	control := bytes.Repeat([]byte(secret), 1000)[:8192]
	must(t, b.PutControl(ctx, control))
	must(t, b.Commit(ctx, m))
	a := e.owner.WAL(repo.Compression{})
	must(t, a.Put(ctx, walSeg, strings.NewReader(secret)))
	must(t, a.PutMap(ctx, walSeg, []byte(secret)))
	for _, name := range st.Names() {
		for _, s := range []string{secret, "secret.conf", "7300000000000000001", "block_size"} {
			if bytes.Contains(st.Bytes(name), []byte(s)) {
				t.Errorf("%s holds %q in clear", name, s)
			}
		}
	}
	other := e.open(t, e.host)
	if got, err := other.Backup(ctx, fullID); err != nil || got.Annotations["k"] != secret {
		t.Errorf("%v, %v", got, err)
	}
}

// What is not encrypted, or was encrypted for another place, is refused everywhere in an encrypted cluster.
func TestForeignObjects(t *testing.T) {
	ctx := t.Context()
	st, plainSt, twinSt := storetest.NewMemory(), storetest.NewMemory(), storetest.NewMemory()
	e := newEncrypted(t, st, testInfo())
	storeSmallChain(t, e.owner)
	must(t, e.owner.WAL(zstd).Put(ctx, walSeg, strings.NewReader("x")))
	plainly := newTestCluster(t, plainSt)
	storeSmallChain(t, plainly)
	must(t, plainly.WAL(zstd).Put(ctx, walSeg, strings.NewReader("x")))
	twin := newEncrypted(t, twinSt, testInfo()) // the same names, other keys
	storeSmallChain(t, twin.owner)
	must(t, twin.owner.WAL(zstd).Put(ctx, walSeg, strings.NewReader("x")))
	touched := func(object string) error {
		if strings.HasPrefix(object, "main/wal/") {
			_, err := readWAL(ctx, e.owner.WAL(zstd).Open, walSeg)
			return err
		}
		_, err := readAll(ctx, e.owner, fullID)
		_, err2 := readAll(ctx, e.owner, incrID)
		return errors.Join(err, err2)
	}
	for _, object := range st.Names() {
		if strings.HasPrefix(object, "main/keys/") || object == "main/cluster.json" {
			continue
		}
		intact := st.Bytes(object)
		must(t, touched(object))
		for what, data := range map[string][]byte{
			"plain": plainSt.Bytes(object), "other keys": twinSt.Bytes(object),
			"another place": st.Bytes(strings.Replace(object, "backups/"+fullID+"/wal", "wal/00000001", 1)),
		} {
			if bytes.Equal(data, intact) {
				continue
			}
			st.Damage(object, data)
			if err := touched(object); !errors.Is(err, repo.ErrCorrupt) {
				t.Errorf("%s, %s: %v", object, what, err)
			}
		}
		st.Damage(object, intact)
	}
	st.Damage("main/cluster.json", plainSt.Bytes("main/cluster.json"))
	if _, err := repo.OpenCluster(ctx, st, "main", repo.WithCredentials(e.host)); !errors.Is(err, repo.ErrNotEncrypted) {
		t.Errorf("a plain entry in place of an encrypted one: %v", err)
	}
}

// Frames in other places of the same object are refused, with checksums that fit.
func TestSwappedFrames(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	e := newEncrypted(t, st, testInfo())
	a := e.owner.WAL(repo.Compression{})
	must(t, a.Put(ctx, walSeg, bytes.NewReader(bytes.Repeat([]byte("A"), 2*repo.MaxFrame))))
	const object = "main/wal/00000001/" + walSeg
	intact := st.Bytes(object)
	const first, size = 448, 40 + repo.MaxFrame + 16
	swapped := bytes.Clone(intact)
	copy(swapped[first:], intact[first+size:first+2*size])
	copy(swapped[first+size:], intact[first:first+size])
	for i := range 2 { // the header's checksum can be made by anybody
		reframe(swapped, first+i*size)
	}
	st.Damage(object, swapped)
	notDecrypted := func(what string) {
		_, err := readWAL(ctx, a.Open, walSeg)
		if !errors.Is(err, repo.ErrCorrupt) || !strings.Contains(err.Error(), "decrypted") {
			t.Errorf("%s: %v", what, err)
		}
	}
	notDecrypted("swapped")
	forged := bytes.Clone(intact)
	copy(forged[first+16:], []byte{0, 0, 0, 1}) // a count
	reframe(forged, first)
	st.Damage(object, forged)
	notDecrypted("forged header")
}

// reframe repairs the checksum of the header of the frame at off of an encrypted object.
func reframe(object []byte, off int) {
	sum := append(bytes.Clone(object[440:448]), make([]byte, 8)...)
	for i := range 8 {
		sum[15-i] = byte(off >> (8 * i))
	}
	copy(object[off+32:], binarySum(append(sum, object[off:off+32]...)))
}

// The largest frame that does not compress, longer by its tag, is read back.
func TestLargestEncryptedFrame(t *testing.T) {
	ctx := t.Context()
	e := newEncrypted(t, newTestStore(t), testInfo())
	want := make([]byte, repo.MaxFrame)
	for i := range want {
		want[i] = byte(i * i >> 7)
	}
	b, err := e.owner.CreateBackup(ctx, fullID, repo.Compression{})
	must(t, err)
	w := b.NewPackWriter()
	f, err := plain(ctx, w, "large", want)
	must(t, err)
	must(t, errors.Join(w.Close(ctx), b.AppendFile(ctx, f), b.PutControl(ctx, make([]byte, 8192))))
	m := testManifest(fullID, "", 0x2000028)
	m.WAL.Segments = nil
	must(t, b.Commit(ctx, m))
	got, err := readAll(ctx, e.owner, fullID)
	must(t, err)
	if !bytes.Equal(got["large"], want) {
		t.Error("it is not what was written")
	}
}
