package pg_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
)

var update = flag.Bool("update", false, "write pg_control of stopped servers to testdata")

// What this package reads and writes is what servers of all versions write and read.
func TestServers(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t, pgtest.Setting("log_timezone", "UTC"),
			pgtest.Setting("wal_level", "logical"), pgtest.Setting("wal_log_hints", "on"))
		c.Exec(`CREATE TABLE t AS SELECT i, repeat('x', 100) x FROM generate_series(1, 20000) i;
			CREATE INDEX ON t (i); CREATE UNLOGGED TABLE u AS SELECT 1 a`)
		c.NewTablespace("ts")
		c.Exec("CREATE TABLE t_ts TABLESPACE ts AS SELECT i FROM generate_series(1, 1000) i")
		c.Exec("VACUUM")
		t.Run("label", func(t *testing.T) { compareLabel(t, c.In(t)) })
		t.Run("manifest", func(t *testing.T) { compareManifest(t, c.In(t)) })
		t.Run("control running", func(t *testing.T) { compareControl(t, c.In(t)) })
		t.Run("control of a standby", func(t *testing.T) {
			standby := c.NewStandby(t)
			standby.WaitReplayed(c)
			standby.Checkpoint()
			standby.Stop(pgtest.Fast)
			if got := compareControl(t, standby); got.MinRecoveryPoint == 0 || got.MinRecoveryTimeline != 1 {
				t.Errorf("recovers to %s on timeline %d at least", got.MinRecoveryPoint, got.MinRecoveryTimeline)
			}
		})
		c.Stop(pgtest.Fast)
		t.Run("control stopped", func(t *testing.T) { compareControl(t, c.In(t)) })
		t.Run("pages", func(t *testing.T) { verifyPages(t, c.In(t)) })
		t.Run("history", func(t *testing.T) { compareHistory(t, c.In(t)) })
	})
}

func readFile(t *testing.T, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// controlData gives what pg_controldata says of a data directory.
func controlData(c *pgtest.Cluster) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(c.Tool("pg_controldata", c.DataDir)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		out[key] = strings.TrimSpace(value)
	}
	return out
}

// compareControl compares every field with what pg_controldata prints.
func compareControl(t *testing.T, c *pgtest.Cluster) pg.Control {
	data := readFile(t, c.DataDir, "global/pg_control")
	got, err := pg.ParseControl(data)
	if err != nil {
		t.Fatal(err)
	}
	want := controlData(c)
	states := map[uint32]string{
		pg.StateShutDown: "shut down", pg.StateShutDownInRecovery: "shut down in recovery",
		pg.StateInProduction: "in production",
	}
	yes := map[bool]string{true: "yes", false: "no"}
	on := map[bool]string{true: "on", false: "off"}
	for key, value := range map[string]string{
		"Database system identifier":           fmt.Sprint(got.SystemIdentifier),
		"pg_control version number":            fmt.Sprint(got.ControlVersion),
		"Catalog version number":               fmt.Sprint(got.CatalogVersion),
		"Database cluster state":               states[got.State],
		"Latest checkpoint location":           got.Checkpoint.String(),
		"Latest checkpoint's REDO location":    got.Redo.String(),
		"Latest checkpoint's TimeLineID":       fmt.Sprint(got.Timeline),
		"Latest checkpoint's PrevTimeLineID":   fmt.Sprint(got.PrevTimeline),
		"Latest checkpoint's full_page_writes": on[got.FullPageWrites],
		"Minimum recovery ending location":     got.MinRecoveryPoint.String(),
		"Min recovery ending loc's timeline":   fmt.Sprint(got.MinRecoveryTimeline),
		"Backup start location":                got.BackupStart.String(),
		"Backup end location":                  got.BackupEnd.String(),
		"End-of-backup record required":        yes[got.BackupEndRequired],
		"wal_level setting":                    []string{"minimal", "replica", "logical"}[got.WALLevel],
		"wal_log_hints setting":                on[got.WALLogHints],
		"max_connections setting":              fmt.Sprint(got.MaxConnections),
		"max_prepared_xacts setting":           fmt.Sprint(got.MaxPrepared),
		"max_locks_per_xact setting":           fmt.Sprint(got.MaxLocks),
		"Data page checksum version":           fmt.Sprint(got.ChecksumVersion),
		"Database block size":                  fmt.Sprint(got.Geometry.BlockSize),
		"Blocks per segment of large relation": fmt.Sprint(got.Geometry.RelSegBlocks),
		"WAL block size":                       fmt.Sprint(got.Geometry.WALBlockSize),
		"Bytes per WAL segment":                fmt.Sprint(got.Geometry.WALSegmentSize),
	} {
		if want[key] != value {
			t.Errorf("%s: %s, want %s", key, value, want[key])
		}
	}
	if age := time.Since(got.Time); age < -time.Minute || age > time.Hour {
		t.Errorf("time %s", got.Time)
	}
	if *update && got.State == pg.StateShutDown {
		name := fmt.Sprintf("testdata/pg_control.%d", c.Install.Major)
		if err := os.WriteFile(name, data[:512], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// verifyPages recomputes the checksum of every page of a stopped cluster.
func verifyPages(t *testing.T, c *pgtest.Cluster) {
	control, err := pg.ParseControl(readFile(t, c.DataDir, "global/pg_control"))
	if err != nil {
		t.Fatal(err)
	}
	g := control.Geometry
	pages, inTablespace := 0, 0
	verify := func(dir, path string) {
		s, ok := pg.ParseRelPath(path)
		if !ok {
			return
		}
		major, _ := pg.MajorOfCatalog(control.CatalogVersion)
		if got := s.Path(pg.TablespaceVersionDir(major, control.CatalogVersion)); got != path {
			t.Errorf("%s: Path gives %s", path, got)
		}
		b := readFile(t, dir, path)
		for blk := s.FirstBlock(g); len(b) > 0; blk++ {
			p := pg.Page(b[:g.BlockSize])
			b = b[g.BlockSize:]
			if p.IsNew() {
				if !p.IsZero() {
					t.Errorf("%s block %d is new but not zero", path, blk)
				}
				continue
			}
			if got, want := p.Checksum(blk), p.StoredChecksum(); got != want {
				t.Errorf("%s block %d: %04X, want %04X", path, blk, got, want)
			}
			if p.LSN() > control.Checkpoint+1<<20 {
				t.Errorf("%s block %d: LSN %s is behind the last checkpoint", path, blk, p.LSN())
			}
			pages++
			if strings.HasPrefix(path, "pg_tblspc/") {
				inTablespace++
			}
		}
	}
	walkData(t, c.DataDir, verify)
	if pages < 2000 || inTablespace == 0 {
		t.Errorf("%d pages, %d of them in the tablespace", pages, inTablespace)
	}
}

// walkData calls visit for every file of a data directory and its tablespaces.
func walkData(t *testing.T, dataDir string, visit func(dir, path string)) {
	t.Helper()
	roots := []string{"."}
	links, err := filepath.Glob(filepath.Join(dataDir, "pg_tblspc", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		roots = append(roots, filepath.Join("pg_tblspc", filepath.Base(link))+"/.")
	}
	for _, root := range roots {
		err := filepath.WalkDir(dataDir+"/"+root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			rel, err := filepath.Rel(dataDir, path)
			visit(dataDir, filepath.ToSlash(rel))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// compareLabel reads backup_label and tablespace_map of a backup and compares them with
// what the server says.
func compareLabel(t *testing.T, c *pgtest.Cluster) {
	odd := pgtest.TempDir(t) + "/with space, \"quotes\", back\\slash and\nline break"
	if err := os.Mkdir(odd, 0o700); err != nil {
		t.Fatal(err)
	}
	pgtest.Chown(t, odd)
	c.Exec("CREATE TABLESPACE odd LOCATION '" + odd + "'")
	defer c.Exec("DROP TABLESPACE odd")

	start, stop := "pg_backup_start('a \"label\"', true)", "pg_backup_stop(false)"
	if c.Install.Major < 15 {
		start, stop = "pg_start_backup('a \"label\"', true, false)", "pg_stop_backup(false, false)"
	}
	s := c.Connect("postgres")
	startLSN := s.Query1("SELECT " + start)
	row := s.Rows("SELECT labelfile, spcmapfile FROM " + stop)[0]
	s.Close()

	label, err := pg.ParseBackupLabel([]byte(row[0]))
	if err != nil {
		t.Fatalf("%v\n%s", err, row[0])
	}
	control, err := pg.ParseControl(readFile(t, c.DataDir, "global/pg_control"))
	if err != nil {
		t.Fatal(err)
	}
	g := control.Geometry
	want := pg.BackupLabel{
		Start: control.Redo, StartSegment: g.WALFileName(1, g.SegmentOf(control.Redo)), Checkpoint: control.Checkpoint,
		Method: "streamed", From: "primary", Label: `a "label"`, Timeline: 1, StartTime: label.StartTime,
	}
	if diff := gocmp.Diff(want, label); diff != "" || label.Start.String() != startLSN {
		t.Errorf("started at %s: %s", startLSN, diff)
	}
	if age := time.Since(label.StartTime); age < -time.Minute || age > time.Hour {
		t.Errorf("start time %s", label.StartTime)
	}

	var wantLinks []pg.TablespaceLink
	for _, row := range c.Rows(`SELECT oid, pg_tablespace_location(oid) FROM pg_tablespace
		WHERE oid >= 16384 ORDER BY oid`) {
		oid, err := strconv.ParseUint(row[0], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		wantLinks = append(wantLinks, pg.TablespaceLink{OID: pg.OID(oid), Path: row[1]})
	}
	links, err := pg.ParseTablespaceMap([]byte(row[1]))
	if got := string(pg.FormatTablespaceMap(links)); got != row[1] && c.Install.Major > 13 {
		t.Errorf("tablespace_map %q, want %q", got, row[1])
	}
	slices.SortFunc(links, func(a, b pg.TablespaceLink) int { return cmp.Compare(a.OID, b.OID) })
	if diff := gocmp.Diff(wantLinks, links); err != nil || diff != "" {
		t.Errorf("tablespace_map %q: %v %s", row[1], err, diff)
	}
}

// serverManifest is the server's own manifest, as far as it takes to write it again.
type serverManifest struct {
	System uint64 `json:"System-Identifier"`
	Files  []struct {
		Path     *string
		Encoded  string `json:"Encoded-Path"`
		Size     int64
		Modified string `json:"Last-Modified"`
	}
	Ranges []struct {
		Timeline pg.TimelineID
		Start    pg.LSN `json:"Start-LSN"`
		End      pg.LSN `json:"End-LSN"`
	} `json:"WAL-Ranges"`
}

// compareManifest writes the manifest of a base backup again, from its files, and wants
// the same bytes as the server's.
func compareManifest(t *testing.T, c *pgtest.Cluster) {
	for _, name := range []string{"odd \"name\"\\", "tab\tand\x01", "not \xff UTF-8", "é"} {
		path := filepath.Join(c.DataDir, "base", name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		pgtest.Chown(t, path)
		defer os.Remove(path)
	}
	dir := pgtest.TempDir(t)
	location := c.Query1("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'ts'")
	c.Tool("pg_basebackup", "--pgdata="+dir+"/copy", "--checkpoint=fast", "--no-sync",
		"--manifest-checksums=CRC32C", "--tablespace-mapping="+location+"="+dir+"/ts")
	want := readFile(t, dir, "copy/backup_manifest")
	var m serverManifest
	if err := json.Unmarshal(want, &m); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	w := pg.NewManifestWriter(&got, c.Install.Major, m.System)
	for _, f := range m.Files {
		var path string
		if f.Path != nil {
			path = *f.Path
		} else if b, err := hex.DecodeString(f.Encoded); err == nil {
			path = string(b)
		}
		mtime, err := time.Parse(time.DateTime+" GMT", f.Modified)
		if err != nil {
			t.Fatal(err)
		}
		content := readFile(t, dir, "copy", path)
		if err := w.AddFile(path, int64(len(content)), mtime, pg.CRC32C(content)); err != nil {
			t.Fatal(err)
		}
	}
	var ranges []pg.WALRange
	for _, r := range m.Ranges {
		ranges = append(ranges, pg.WALRange{Timeline: r.Timeline, Start: r.Start, End: r.End})
	}
	if err := w.Close(ranges); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
	if strings.Count(got.String(), "Encoded-Path") != 1 {
		t.Error("the name that is not UTF-8 is not encoded")
	}
}

// compareHistory promotes a server twice and reads its history.
func compareHistory(t *testing.T, c *pgtest.Cluster) {
	for range 2 {
		signal := filepath.Join(c.DataDir, "standby.signal")
		if err := os.WriteFile(signal, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		pgtest.Chown(t, signal)
		c.Start()
		c.Promote()
		c.Exec("CREATE TABLE IF NOT EXISTS after_promotion (a int); CHECKPOINT")
		c.Stop(pgtest.Fast)
	}
	data := readFile(t, c.DataDir, "pg_wal", pg.HistoryFileName(3))
	h, err := pg.ParseHistory(3, data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if len(h.Ancestors) != 2 || h.Ancestors[0].Timeline != 1 || h.Ancestors[1].Timeline != 2 ||
		h.Ancestors[0].End >= h.Ancestors[1].End || h.Ancestors[0].Reason == "" {
		t.Errorf("%+v from\n%s", h, data)
	}
	// The server puts an empty line between what it copied and what it added.
	if got, want := string(h.Format()), strings.ReplaceAll(string(data), "\n\n", "\n"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	control, err := pg.ParseControl(readFile(t, c.DataDir, "global/pg_control"))
	if err != nil {
		t.Fatal(err)
	}
	if control.Timeline != 3 || h.TimelineAt(control.Redo) != 3 {
		t.Errorf("timeline %d in pg_control, %d at its redo position", control.Timeline, h.TimelineAt(control.Redo))
	}
}
