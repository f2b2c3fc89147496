package e2e

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

const blockSize = 8192

// quiet keeps a server from writing relation files but at a checkpoint: the files that a
// backup copied are then still there to be compared with after it.
func quiet() pgtest.Option { return pgtest.Setting("bgwriter_lru_maxpages", "0") }

// snapshot copies the data directory of the running, quiet source as it is, with the
// contents of its tablespaces. Nothing is read through the server.
func (s *site) snapshot() string {
	s.t.Helper()
	dir := filepath.Join(pgtest.TempDir(s.t), "snapshot")
	cmd := exec.Command("cp", "-rL", s.pg.DataDir, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		if len(out) == 0 {
			s.t.Fatalf("cp: %v", err)
		}
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "/pg_wal/") { // what the archiver takes away is not compared
				s.t.Fatalf("cp: %v\n%s", err, out)
			}
		}
	}
	return dir
}

// notCompared are the files that differ between a source and its restored backup by
// design, or are in no backup.
var notCompared = regexp.MustCompile(`^(pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial)/` +
	`|^(pg_snapshots|pg_stat_tmp|pg_subtrans|pg_stat)/` +
	`|^(postmaster\.(pid|opts)|backup_label(\.old)?|tablespace_map|backup_manifest)$` +
	`|^((recovery|standby)\.signal|postgresql\.auto\.conf|current_logfiles)$` +
	`|^global/pg_control$|(^|/)pg_internal\.init|(^|/)pgsql_tmp|(^|/)t[0-9]+_[0-9]+[^/]*$`)

var relationFile = regexp.MustCompile(`/[1-9][0-9]*(_(fsm|vm|init))?(\.[1-9][0-9]*)?$`)

// files lists the files below a data directory that can be compared, by their paths in it.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	var walk func(root, prefix string)
	walk = func(root, prefix string) {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel := prefix + strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
			if d.Type()&fs.ModeSymlink != 0 && strings.HasPrefix(rel, "pg_tblspc/") {
				target, err := filepath.EvalSymlinks(path)
				if err != nil {
					return err
				}
				walk(target, rel+"/")
				return nil
			}
			if d.Type().IsRegular() && !notCompared.MatchString(rel) {
				found[rel] = path
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	walk(dir, "")
	for rel := range found {
		// Only the init fork of an unlogged relation is in a backup.
		if base, _, _ := strings.Cut(rel, "."); relationFile.MatchString(rel) && !strings.HasSuffix(base, "_init") {
			base = strings.TrimSuffix(strings.TrimSuffix(base, "_fsm"), "_vm")
			if _, unlogged := found[base+"_init"]; unlogged {
				delete(found, rel)
			}
		}
	}
	return found
}

// compareBytes fails the test where a restored data directory that was not started yet
// differs from the source as it was when the backup was taken: other files, other
// lengths, other bytes. With hints the bits may differ that PostgreSQL sets without
// WAL or a new LSN, and recomputes when they are missing.
func compareBytes(t testing.TB, source, restored string, hints bool) {
	t.Helper()
	want, got := files(t, source), files(t, restored)
	names := map[string]bool{}
	for name := range want {
		names[name] = true
	}
	for name := range got {
		names[name] = true
	}
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	if len(want) < 500 {
		t.Fatalf("only %d files to compare in %s", len(want), source)
	}
	for _, name := range sorted {
		switch w, g := want[name], got[name]; {
		case w == "":
			t.Errorf("%s: the source does not have it", name)
		case g == "":
			t.Errorf("%s: missing", name)
		default:
			compareFile(t, name, w, g, hints)
		}
	}
}

func compareFile(t testing.TB, name, source, restored string, hints bool) {
	t.Helper()
	want, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(restored)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != len(got) {
		t.Errorf("%s: %d bytes, want %d", name, len(got), len(want))
		return
	}
	if bytes.Equal(want, got) {
		return
	}
	if !relationFile.MatchString(name) {
		t.Errorf("%s: other bytes", name)
		return
	}
	for blk := 0; blk*blockSize < len(want); blk++ {
		w, g := want[blk*blockSize:], got[blk*blockSize:]
		w, g = w[:min(blockSize, len(w))], g[:min(blockSize, len(g))]
		if bytes.Equal(w, g) || hints && len(w) == blockSize && bytes.Equal(maskHints(w), maskHints(g)) {
			continue
		}
		at := 0
		for w[at] == g[at] {
			at++
		}
		t.Errorf("%s: block %d differs from byte %d on: %x, want %x (headers %x, want %x)", name, blk, at,
			g[at:min(at+16, len(g))], w[at:min(at+16, len(w))], g[:24], w[:24])
		return
	}
}

// maskHints clears what PostgreSQL sets on a page without WAL or a new LSN
// where neither checksums nor wal_log_hints are on, and nothing else (MarkBufferDirtyHint and its callers): the
// checksum, pd_prune_xid, PD_HAS_FREE_LINES and PD_PAGE_FULL, hint bits of tuples, dead line pointers of indexes
// and the flags of index pages that tell of them, what SP-GiST remembers of free space. PD_ALL_VISIBLE stays.
func maskHints(page []byte) []byte {
	p := slices.Clone(page)
	le := binary.LittleEndian
	if le.Uint16(p[14:]) == 0 {
		return p // new
	}
	lower, special := int(le.Uint16(p[12:])), int(le.Uint16(p[16:]))
	if lower < 24 || lower > blockSize || special > blockSize {
		return p
	}
	le.PutUint16(p[8:], 0)
	le.PutUint16(p[10:], le.Uint16(p[10:])&^3)
	le.PutUint32(p[20:], 0)
	index := special < blockSize
	for at := 24; at+4 <= lower; at += 4 {
		lp := le.Uint32(p[at:])
		off, flags := int(lp&0x7fff), lp>>15&3
		switch {
		case index && flags != 0: // LP_NORMAL and LP_DEAD
			le.PutUint32(p[at:], lp|3<<15)
		case !index && flags == 1 && off+22 <= special: // t_infomask of a heap tuple
			le.PutUint16(p[off+20:], le.Uint16(p[off+20:])&^0x0f00)
		}
	}
	if special == blockSize-8 && le.Uint16(p[blockSize-2:]) == 0xFF82 && le.Uint16(p[special:])&1 != 0 {
		// The meta page of an SP-GiST index remembers where there was room, and
		// believes it only after a look (SpGistUpdateMetaPage, SpGistGetBuffer).
		clear(p[28:lower])
	}
	if index && special+16 <= blockSize {
		const deadTuples = 1<<6 | 1<<7 | 1<<4 // BTP_HAS_GARBAGE, LH_PAGE_HAS_DEAD_TUPLES, F_HAS_GARBAGE
		le.PutUint16(p[special+12:], le.Uint16(p[special+12:])&^deadTuples)
	}
	return p
}
