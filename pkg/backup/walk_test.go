package backup

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
)

func newTestWalker(root string) walker {
	return walker{
		root: root, major: 17, versionDir: pg.TablespaceVersionDir(17, 202406281),
		skipped: &warnings{log: slog.New(slog.DiscardHandler)},
	}
}

// walkAll gives the paths that a walk yields; each is called for every entry.
func walkAll(t *testing.T, w walker, each func(*entry)) []string {
	t.Helper()
	var out []string
	for e, err := range w.walk(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if each != nil {
			each(e)
		}
		name := e.path
		switch e.kind {
		case entryDir:
			name += "/"
		case entryLink:
			name += "@"
		case entryFile:
		}
		out = append(out, name)
	}
	return out
}

func link(t *testing.T, target, root, path string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(root, path)); err != nil {
		t.Fatal(err)
	}
}

func TestWalkLeavesOut(t *testing.T) {
	// A backup holds what PostgreSQL's own base backups hold, and no more.
	root := testDataDir(t)
	for _, path := range []string{
		"pg_stat_tmp/global.stat", "pg_replslot/s/state", "pg_dynshmem/x", "pg_notify/0000",
		"pg_serial/0", "pg_snapshots/1", "pg_subtrans/0000",
		"pg_wal/000000010000000000000001", "pg_wal/archive_status/x.ready",
		"postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label", "tablespace_map",
		"backup_manifest", "postmaster.pid", "postmaster.opts", ".DS_Store",
		"base/.DS_Store", "global/pg_internal.init", "base/5/pg_internal.init.123",
		"base/pgsql_tmp/pgsql_tmp1.0", "base/5/pgsql_tmp_x", "recovery.signal", "standby.signal",
		"base/5/t3_16384", "base/5/t3_16384_fsm", "base/5/t3_16384.1", "base/5/t12_9_init",
		"base/5/100", "base/5/100.1", "base/5/100_fsm", "base/5/100_vm", "base/5/100_vm.1",
	} {
		write(t, root, path, nil)
	}
	for _, path := range []string{
		"base/5/100_init", "base/5/1000", "base/5/101_fsm", "base/5/101", "base/5/101.2",
		"base/5/101.10", "base/5/pg_filenode.map", "global/1262", "pg_logical/replorigin_checkpoint",
		"pg_xact/0000", "pg_stat/pgstat.stat", "pg_multixact/members/0000", "backup_label.old",
		"base/5/t3_x", "notes/standby.signal",
	} {
		write(t, root, path, nil)
	}
	want := []string{
		"./", "PG_VERSION", "backup_label.old", "base/", "base/5/", "base/5/1000", "base/5/100_init",
		"base/5/101", "base/5/101.2", "base/5/101.10", "base/5/101_fsm", "base/5/PG_VERSION",
		"base/5/pg_filenode.map", "base/5/t3_x", "global/", "global/1262", "notes/",
		"notes/standby.signal", "pg_dynshmem/", "pg_logical/", "pg_logical/replorigin_checkpoint",
		"pg_multixact/", "pg_multixact/members/", "pg_multixact/members/0000", "pg_notify/",
		"pg_replslot/", "pg_serial/", "pg_snapshots/", "pg_stat/", "pg_stat/pgstat.stat",
		"pg_stat_tmp/", "pg_subtrans/", "pg_tblspc/", "pg_wal/", "pg_wal/archive_status/",
		"pg_wal/summaries/", "pg_xact/", "pg_xact/0000", "postgresql.conf",
	}
	w := newTestWalker(root)
	got := walkAll(t, w, nil)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	sorted := slices.IsSortedFunc(got, func(a, b string) int {
		return pg.ComparePaths(strings.TrimSuffix(a, "/"), strings.TrimSuffix(b, "/"))
	})
	if !sorted {
		t.Errorf("not in the order of an index: %v", got)
	}
	if len(w.skipped.list) > 0 {
		t.Errorf("warnings: %v", w.skipped.list)
	}
}

func TestWalkTablespaces(t *testing.T) {
	// Of a tablespace only the directory of this server's version belongs to the cluster, whether it is a
	// link, a directory in place, or lies inside the data directory.
	root := testDataDir(t)
	outside := filepath.Join(t.TempDir(), "space with = in it")
	write(t, outside, "PG_17_202406281/5/16400", nil)
	write(t, outside, "PG_17_202406281/5/t1_16400", nil)
	write(t, outside, "PG_16_202307071/5/99", nil)
	write(t, outside, "notes", nil)
	link(t, outside, root, "pg_tblspc/16400")
	write(t, root, "pg_tblspc/16401/PG_17_202406281/5/16402", nil)
	write(t, root, "inside/PG_17_202406281/5/16404", nil)
	link(t, filepath.Join(root, "inside"), root, "pg_tblspc/16403")
	link(t, filepath.Join(root, "gone"), root, "pg_tblspc/16405")
	write(t, root, "pg_tblspc/README", nil)
	w := newTestWalker(root)
	got := walkAll(t, w, func(e *entry) {
		if e.kind == entryLink && e.path == "pg_tblspc/16400" && e.link != outside {
			t.Errorf("link to %q, want %q", e.link, outside)
		}
	})
	const v = "/PG_17_202406281"
	want := []string{
		"pg_tblspc/", "pg_tblspc/16400@", "pg_tblspc/16400" + v + "/", "pg_tblspc/16400" + v + "/5/",
		"pg_tblspc/16400" + v + "/5/16400", "pg_tblspc/16401/", "pg_tblspc/16401" + v + "/",
		"pg_tblspc/16401" + v + "/5/", "pg_tblspc/16401" + v + "/5/16402", "pg_tblspc/16403@",
		"pg_tblspc/16403" + v + "/", "pg_tblspc/16403" + v + "/5/",
		"pg_tblspc/16403" + v + "/5/16404", "pg_tblspc/16405@",
	}
	got = slices.DeleteFunc(got, func(s string) bool {
		return !strings.HasPrefix(s, "pg_tblspc") && !strings.HasPrefix(s, "inside")
	})
	if diff := cmp.Diff(append([]string{"inside/"}, want...), got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if len(w.skipped.list) != 1 || !strings.Contains(w.skipped.list[0], "pg_tblspc/README") {
		t.Errorf("warnings: %v", w.skipped.list)
	}
}

func TestWalkSpecialFiles(t *testing.T) {
	// Links stand for plain directories where PostgreSQL allows them; anything else that is neither file
	// nor directory is left out and told.
	root := testDataDir(t)
	elsewhere := t.TempDir()
	if err := os.Remove(filepath.Join(root, "pg_wal")); err != nil {
		t.Fatal(err)
	}
	write(t, elsewhere, "wal/000000010000000000000001", nil)
	write(t, elsewhere, "slots/x/state", nil)
	link(t, filepath.Join(elsewhere, "wal"), root, "pg_wal")
	link(t, filepath.Join(elsewhere, "slots"), root, "pg_replslot")
	write(t, elsewhere, "hba", nil)
	link(t, filepath.Join(elsewhere, "hba"), root, "pg_hba.conf")
	if err := syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newTestWalker(root)
	got := walkAll(t, w, nil)
	for _, want := range []string{"pg_wal/", "pg_wal/archive_status/", "pg_replslot/"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in %v", want, got)
		}
	}
	for _, no := range []string{"pg_hba.conf", "fifo", "pg_replslot/x/"} {
		if slices.Contains(got, no) {
			t.Errorf("%s is in the backup", no)
		}
	}
	if len(w.skipped.list) != 2 {
		t.Errorf("warnings: %v", w.skipped.list)
	}
}

func TestWalkVanish(t *testing.T) {
	// What vanishes while the walk goes on is not an error.
	root := testDataDir(t)
	for _, path := range []string{"base/5/1", "base/5/2", "base/6/1", "base/7/1"} {
		write(t, root, path, nil)
	}
	got := walkAll(t, newTestWalker(root), func(e *entry) {
		var err error
		switch e.path {
		case "base/5/1":
			err = os.Remove(filepath.Join(root, "base/5/2"))
		case "base/6":
			err = os.RemoveAll(filepath.Join(root, "base/6"))
		case "base/6/1":
			t.Error("a file of a directory that is gone")
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if slices.Contains(got, "base/5/2") || !slices.Contains(got, "base/7/1") {
		t.Errorf("entries: %v", got)
	}
}

func TestTempRelationNames(t *testing.T) {
	// Only names that the server gives to temporary relations are taken for such.
	for name, want := range map[string]bool{
		"t3_16384": true, "t3_16384_fsm": true, "t3_16384_vm.1": true, "t3_16384.12": true,
		"t3_16384_init": true, "t_1": false, "t3_": false, "t3": false, "3_16384": false,
		"t3_16384_main": false, "t3_16384.": false, "t3_16384_fsm_": false, "tx_1": false,
		"t3_16384.x": false,
	} {
		if got := isTempRelation(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
