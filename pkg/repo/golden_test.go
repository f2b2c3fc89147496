package repo_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

var update = flag.Bool("update", false, "write the golden files and their dumps in docs/format.md")

const (
	goldenDir = "testdata/golden"
	formatDoc = "../../docs/format.md"
	// goldenSegment is archived without compression, the next two with each codec.
	goldenSegment = "000000010000000000000001"
)

// goldenInfo has pages of 1 kB, so that the files stay small.
func goldenInfo() repo.ClusterInfo {
	return repo.ClusterInfo{
		Name: "main", SystemIdentifier: testSystem, PGVersion: 170002,
		Geometry: pg.Geometry{BlockSize: 1024, RelSegBlocks: 131072, WALBlockSize: 8192, WALSegmentSize: 1 << 20},
	}
}

// goldenPage is block b of the golden relation in a version.
func goldenPage(version, b byte) []byte {
	p := make([]byte, 1024)
	copy(p, []byte{0, 0, 0, 0, version, 0, 0, b, 0, 0, 4 * (b & 1), 0, 24, 0, 0, 4, 0, 4, 4, 32})
	copy(p[1000:], fmt.Sprintf("version %d, block %d", version, b))
	return p
}

// goldenFile writes the blocks of the golden relation.
func goldenFile(ctx context.Context, w *repo.PackWriter, version byte, blocks ...byte) (*repo.File, error) {
	f := &repo.File{
		Path: "base/5/16384", Kind: repo.KindRelation, Mode: 0o600, UID: 26, GID: 26, Size: 4 * 1024,
		ModTime:  time.Unix(1_790_000_000, 5).UTC(),
		Identity: repo.Identity{Device: 8, Inode: 4711, BirthTime: 1e18, ChangeTime: 179e16, ModTime: 179e16 + 5},
	}
	var raw []byte
	var hashes []uint64
	var runs []repo.BlockRun
	for _, b := range blocks {
		p := goldenPage(version, b)
		raw = append(raw, p...)
		hashes = append(hashes, repo.PageHash(p))
		runs = append(runs, run(pg.BlockNumber(b), 1))
	}
	fr, err := w.WriteFrame(ctx, raw, hashes)
	fr.Runs = runs
	f.Frames = []repo.Frame{fr}
	return f, err
}

// goldenBackup writes a backup of which every byte is known.
func goldenBackup(
	ctx context.Context, c *repo.Cluster, m *repo.Manifest, z repo.Compression, files fill,
) error {
	b, err := c.CreateBackup(ctx, m.ID, z)
	if err != nil {
		return err
	}
	w := b.NewPackWriter()
	entries, err := files(ctx, w)
	if err := errors.Join(err, w.Close(ctx)); err != nil {
		return err
	}
	for _, f := range entries {
		if err := b.AppendFile(ctx, f); err != nil {
			return err
		}
	}
	m.Geometry, m.PGVersion, m.Version = c.Info.Geometry, c.Info.PGVersion, "1.0.0"
	control := make([]byte, pg.ControlFileSize)
	copy(control, "pg_control")
	return errors.Join(
		b.PutControl(ctx, control),
		b.PutWAL(ctx, walSeg, strings.NewReader("WAL that is carried")),
		b.Commit(ctx, m),
	)
}

// marked gives a manifest its mark; one that lacks it is as old ones are.
func marked(m *repo.Manifest) *repo.Manifest {
	m.WALMark = &repo.WALMark{From: 0x2000000, Sum: repo.FormatSum(0xC0FFEE)}
	return m
}

// writeGolden fills a store with one object of each kind and gives what the relation holds.
func writeGolden(ctx context.Context, st repo.Store, z repo.Compression, options ...repo.Option) error {
	c, _, err := repo.Init(ctx, st, goldenInfo(), options...)
	if err != nil {
		return err
	}
	full := func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
		version, err1 := plain(ctx, w, "PG_VERSION", []byte("17\n"))
		r, err2 := goldenFile(ctx, w, 1, 0, 1, 3)
		r.Whole, r.Zero = true, []repo.BlockRun{run(2, 1)}
		dir := &repo.File{Path: "base", Kind: repo.KindDir, Mode: 0o700, ModTime: time.Unix(1_790_000_000, 0).UTC()}
		link := &repo.File{Path: "pg_tblspc/16999", Kind: repo.KindLink, Link: "/srv/space", ModTime: dir.ModTime}
		return []*repo.File{version, dir, r, link}, errors.Join(err1, err2)
	}
	incr := func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
		r, err := goldenFile(ctx, w, 2, 1)
		return []*repo.File{r}, err
	}
	a := c.WAL(z)
	return errors.Join(
		goldenBackup(ctx, c, marked(testManifest(fullID, "", 0x2000028)), z, full),
		goldenBackup(ctx, c, testManifest(incrID, fullID, 0x3000028), z, incr),
		a.Put(ctx, goldenSegment, strings.NewReader("a WAL segment")),
		a.Put(ctx, "00000002.history", strings.NewReader("1\t0/5000000\tno recovery target specified\n")),
		a.PutMap(ctx, goldenSegment, []byte("a page map")),
	)
}

// goldenCompressed are segments that only have to be read: compressors may get better.
func goldenCompressed() map[string]repo.Compression {
	return map[string]repo.Compression{
		"000000010000000000000002": {Codec: repo.CodecZstd},
		"000000010000000000000003": {Codec: repo.CodecLZ4},
	}
}

var compressible = bytes.Repeat([]byte("what compresses well "), 40)

// What this version writes is, byte for byte, what format 1 is; docs/format.md shows the
// same bytes.
func TestGoldenWrite(t *testing.T) {
	st := newTestStore(t)
	must(t, writeGolden(t.Context(), st, repo.Compression{}))
	pinned, err := repo.OpenCluster(t.Context(), st, "main")
	must(t, err)
	_, err = pinned.Pin(t.Context(), goldenPin())
	must(t, err)
	drill := goldenDrill()
	must(t, pinned.PutDrill(t.Context(), &drill))
	must(t, pinned.WAL(repo.Compression{}).PutPart(t.Context(), goldenPart(), strings.NewReader("a part of WAL")))
	must(t, writeGoldenConfiguration(t.Context(), pinned))
	must(t, writeGoldenInterrupted(t.Context(), pinned, repo.Compression{}))
	if *update {
		must(t, os.RemoveAll(goldenDir))
		must(t, os.CopyFS(goldenDir, os.DirFS(st.String())))
		golden, err := repo.OpenStore(t.Context(), goldenDir)
		must(t, err)
		c, err := repo.OpenCluster(t.Context(), golden, "main")
		must(t, err)
		for name, z := range goldenCompressed() {
			must(t, c.WAL(z).Put(t.Context(), name, bytes.NewReader(compressible)))
		}
	}
	found, err := st.List(t.Context(), "", true)
	must(t, err)
	for _, o := range found {
		got, err := os.ReadFile(filepath.Join(st.String(), o.Name))
		must(t, err)
		want, err := os.ReadFile(filepath.Join(goldenDir, o.Name))
		must(t, err)
		if !bytes.Equal(want, got) {
			t.Errorf("%s (-golden +written):\n%s", o.Name, cmp.Diff(hex.Dump(want), hex.Dump(got)))
		}
	}
}

// goldenPin is the pin of format 1.
func goldenPin() repo.Pin {
	return repo.Pin{
		Format: 1, Backup: incrID, At: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC),
		By: "postgres@db1", Note: "before the upgrade to 18",
	}
}

// configID is that of the golden backup with configuration.
const configID = "20261122T083810Z-F"

// goldenConfiguration is what its server read from outside the data directory.
func goldenConfiguration() []repo.ConfigContent {
	const at = "/etc/postgresql/17/main/"
	conf, hba := "include_dir = 'conf.d'\n", "local all all peer\n"
	made := time.Unix(1_790_000_000, 0).UTC()
	return []repo.ConfigContent{
		{
			ConfigFile: repo.ConfigFile{Setting: "config_file", Path: at + "postgresql.conf", Size: int64(len(conf))},
			Mode:       0o644, UID: 26, GID: 26, ModTime: made, Content: []byte(conf),
		},
		{
			ConfigFile: repo.ConfigFile{Setting: "hba_file", Path: at + "pg_hba.conf", Size: int64(len(hba))},
			Mode:       0o640, UID: 26, GID: 26, ModTime: made, Content: []byte(hba),
		},
		{ConfigFile: repo.ConfigFile{Setting: "ident_file", Path: at + "pg_ident.conf", Missing: "permission denied"}},
	}
}

// writeGoldenConfiguration writes a backup that holds little else.
func writeGoldenConfiguration(ctx context.Context, c *repo.Cluster) error {
	b, err := c.CreateBackup(ctx, configID, repo.Compression{})
	if err != nil {
		return err
	}
	m := testManifest(configID, "", 0x1000028)
	m.Geometry, m.PGVersion, m.Version = c.Info.Geometry, c.Info.PGVersion, "1.0.0"
	m.WAL = repo.WALNeed{Mode: repo.WALArchived, Segments: []string{goldenSegment}}
	files, err := b.PutConfiguration(ctx, goldenConfiguration())
	m.Configuration = files
	return errors.Join(err, b.PutControl(ctx, make([]byte, pg.ControlFileSize)), b.Commit(ctx, m))
}

// goldenPart is a part of the segment after those that are archived.
func goldenPart() repo.Part {
	return repo.Part{Segment: "000000010000000000000004", Begin: 0, End: 13}
}

// goldenDrill is the drill of format 1.
func goldenDrill() repo.Drill {
	last := time.Date(2026, 11, 25, 2, 59, 58, 123456000, time.UTC)
	return repo.Drill{
		Format: 1, ID: "20261125T030000Z", Cluster: "main", SystemIdentifier: testSystem,
		Backup: incrID, Chain: []string{fullID, incrID}, Target: "end of WAL", Result: repo.DrillFindings,
		Host: "db2", Server: "17.2", StartedAt: time.Date(2026, 11, 25, 3, 0, 0, 250000000, time.UTC),
		FinishedAt: time.Date(2026, 11, 25, 3, 1, 8, 0, time.UTC), RecoverySeconds: 60.5, BytesWritten: 4096,
		Phases:  []repo.Phase{{Name: "restore", Seconds: 42.25}, {Name: "recovery", Seconds: 18.25}},
		Reached: &repo.Reached{LSN: 0x3000138, Timeline: 1, Time: &last},
		Checks: []repo.Verdict{
			{Name: "amcheck", Result: repo.DrillFindings, Detail: "heap table \"postgres.public.t\", block 0"},
			{Name: "sql", Result: repo.DrillOK},
		},
		Warnings: []string{}, Version: "1.0.0",
	}
}

// copiedGolden opens a copy of the golden repository: git does not keep modes, and listing may remove temporary files.
func copiedGolden(t *testing.T) *repo.Cluster {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(goldenDir)))
	st, err := repo.OpenStore(t.Context(), dir)
	must(t, err)
	c, err := repo.OpenCluster(t.Context(), st, "main")
	must(t, err)
	return c
}

// Every later version reads the repositories of format 1.
func TestGoldenRead(t *testing.T) {
	ctx := t.Context()
	c := copiedGolden(t)
	readGolden(t, c)
	want := goldenPin()
	pins, err := c.Pins(ctx)
	if d := cmp.Diff(map[string]*repo.Pin{incrID: &want}, pins); d != "" || err != nil {
		t.Error(d, err)
	}
	drill := goldenDrill()
	drills, err := c.Drills(ctx, 0)
	if d := cmp.Diff([]*repo.Drill{&drill}, drills); d != "" || err != nil {
		t.Error(d, err)
	}
	readGoldenConfiguration(t, c)
	var part bytes.Buffer
	end, err := c.WAL(zstd).CopyPartial(ctx, goldenPart().Segment, 13, &part)
	if end != 13 || part.String() != "a part of WAL" || err != nil {
		t.Errorf("%d bytes of a segment, %q, %v", end, part.String(), err)
	}
}

// readGoldenConfiguration compares what the backup with configuration holds.
func readGoldenConfiguration(t *testing.T, c *repo.Cluster) {
	t.Helper()
	m, err := c.Backup(t.Context(), configID)
	must(t, err)
	if ok, problems := verify(t, c, configID); !ok {
		t.Errorf("verify: %q", problems)
	}
	r, err := c.OpenBackup(t.Context(), m)
	must(t, err)
	defer func() { must(t, r.Close()) }()
	files, err := r.Configuration(t.Context())
	if d := cmp.Diff(goldenConfiguration(), files, cmpopts.EquateApproxTime(0)); d != "" || err != nil {
		t.Error(d, err)
	}
}

// readGolden reads all there is.
func readGolden(t *testing.T, c *repo.Cluster) {
	t.Helper()
	ctx := t.Context()
	if want := goldenInfo(); c.Info.SystemIdentifier != want.SystemIdentifier || c.Info.Geometry != want.Geometry {
		t.Errorf("%+v", c.Info)
	}
	if ok, problems := verify(t, c, incrID); !ok {
		t.Errorf("verify: %q", problems)
	}
	a := c.WAL(zstd)
	for name, want := range map[string]string{
		goldenSegment:              "a WAL segment",
		"000000010000000000000002": string(compressible),
		"000000010000000000000003": string(compressible),
		"00000002.history":         "1\t0/5000000\tno recovery target specified\n",
	} {
		if got, err := readWAL(ctx, a.Open, name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := a.GetMap(ctx, goldenSegment); err != nil || string(got) != "a page map" {
		t.Errorf("map: %q, %v", got, err)
	}
	readGoldenChain(t, c)
}

// readGoldenChain checks every entry of the newest golden backup and the content of the relation.
func readGoldenChain(t *testing.T, c *repo.Cluster) {
	t.Helper()
	ctx := t.Context()
	m, err := c.Backup(ctx, repo.Latest)
	must(t, err)
	ch, err := c.OpenChain(ctx, m)
	must(t, err)
	defer func() { must(t, ch.Close()) }()
	for cf, err := range ch.Files(ctx) {
		must(t, err)
		if cf.Path != "base/5/16384" || len(cf.Versions) != 2 {
			t.Errorf("%s in %d versions", cf.Path, len(cf.Versions))
		}
		pieces, zero, err := cf.Resolve(m.Geometry)
		must(t, err)
		got := map[string][]repo.BlockRun{"zero": zero}
		for _, p := range pieces {
			got[fmt.Sprint(p.Depth)] = p.Runs
			raw, err := ch.Backups[p.Depth].ReadFrame(ctx, p.Frame, nil)
			must(t, err)
			first := p.Frame.Runs[0].First
			if want := goldenPage(byte(2-p.Depth), byte(first)); !bytes.Equal(raw[:1024], want) {
				t.Errorf("depth %d, block %d: %q", p.Depth, first, raw[1000:1024])
			}
		}
		want := map[string][]repo.BlockRun{"zero": {run(2, 1)}, "0": {run(1, 1)}, "1": {run(0, 1), run(3, 1)}}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	var entries []string
	for f, err := range ch.Backups[1].Files(ctx) {
		must(t, err)
		entries = append(entries, fmt.Sprintf("%s kind %d mode %o link %q size %d", f.Path, f.Kind, f.Mode, f.Link, f.Size))
	}
	want := []string{
		`PG_VERSION kind 2 mode 600 link "" size 3`, `base kind 1 mode 700 link "" size 0`,
		`base/5/16384 kind 3 mode 600 link "" size 4096`, `pg_tblspc/16999 kind 4 mode 0 link "/srv/space" size 0`,
	}
	if d := cmp.Diff(want, entries); d != "" {
		t.Error(d)
	}
}

// The dumps in docs/format.md are those of the golden files.
func TestGoldenDocument(t *testing.T) {
	doc, err := os.ReadFile(formatDoc)
	must(t, err)
	dump := regexp.MustCompile("(?s)<!-- golden: ([^ ]+) -->\n+```\n.*?```\n")
	seen := 0
	fresh := dump.ReplaceAllFunc(doc, func(block []byte) []byte {
		seen++
		name := string(dump.FindSubmatch(block)[1])
		data, err := os.ReadFile(goldenPath(t, name))
		must(t, err)
		text := string(data)
		if !strings.HasSuffix(name, ".json") {
			text = shortDump(data)
		}
		return fmt.Appendf(nil, "<!-- golden: %s -->\n\n```\n%s```\n", name, text)
	})
	if *update {
		must(t, os.WriteFile(formatDoc, fresh, fs.FileMode(0o644)))
	} else if d := cmp.Diff(string(doc), string(fresh)); d != "" {
		t.Errorf("run the tests of this package with -update (-document +golden files):\n%s", d)
	}
	if seen < 8 {
		t.Errorf("%d dumps", seen)
	}
}

// goldenPath finds the file that a dump is of. Those of the encrypted cluster begin with encrypted/.
func goldenPath(t *testing.T, name string) string {
	t.Helper()
	rest, isEncrypted := strings.CutPrefix(name, "encrypted/")
	if !isEncrypted {
		return filepath.Join(goldenDir, name)
	}
	found, err := filepath.Glob(filepath.Join(encryptedGoldenDir, strings.ReplaceAll(rest, "{ring}", "*")))
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("%s: %q", name, found)
	}
	return found[0]
}

// shortDump is a hexadecimal dump in which lines of zeros are a star, as hexdump prints them.
func shortDump(data []byte) string {
	var out []string
	zeros := false
	for line := range strings.Lines(hex.Dump(data)) {
		isZero := strings.Count(line, " 00") == 16
		if isZero && zeros {
			if out[len(out)-1] != "*\n" {
				out = append(out, "*\n")
			}
			continue
		}
		zeros = isZero
		out = append(out, line)
	}
	return strings.Join(out, "")
}

// openGolden opens a copy of a golden repository; with -update it is written where there is none.
func openGolden(t *testing.T, golden string, write func(context.Context, repo.Store) error) *repo.Cluster {
	t.Helper()
	if _, err := os.Stat(golden); *update && errors.Is(err, os.ErrNotExist) {
		must(t, os.MkdirAll(golden, 0o755))
		st, err := repo.OpenStore(t.Context(), golden)
		must(t, err)
		must(t, write(t.Context(), st))
	}
	dir := t.TempDir() // a copy: git does not keep modes
	must(t, os.CopyFS(dir, os.DirFS(golden)))
	st, err := repo.OpenStore(t.Context(), dir)
	must(t, err)
	c, err := repo.OpenCluster(t.Context(), st, "main")
	must(t, err)
	return c
}
