package datadiff

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/pgincr/pgincr/pkg/pg"
)

// leftOut are names that are compared nowhere: files that belong to a running server or
// to a backup (excludeFiles, backup/basebackup.c), and those that a restore writes. pg_control
// moves with every checkpoint.
var leftOut = regexp.MustCompile(`^(postgresql\.auto\.conf(\.tmp)?|current_logfiles\.tmp|` +
	`pg_internal\.init.*|backup_label|tablespace_map|backup_manifest|postmaster\.(pid|opts)|` +
	`pgsql_tmp.*|\.DS_Store|recovery\.signal|standby\.signal|pg_control)$`)

// emptied says whether a server makes the contents of a directory anew (excludeDirContents), or they are WAL.
func emptied(path string) bool {
	switch path {
	case "pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots",
		"pg_subtrans", "pg_wal":
		return true
	}
	return false
}

// temporary are relations of one session (storage/file/reinit.c).
var temporary = regexp.MustCompile(`^t[0-9]+_[0-9]+(_(fsm|vm|init))?(\.[0-9]+)?$`)

// list gives what a data directory holds, by path. Tablespaces lie where their links lead.
func list(root string, control pg.Control) (map[string]entry, error) {
	l := lister{out: map[string]entry{}}
	if major, ok := pg.MajorOfCatalog(control.CatalogVersion); ok {
		l.version = pg.TablespaceVersionDir(major, control.CatalogVersion)
	}
	if err := l.dir(root, ""); err != nil {
		return nil, err
	}
	l.dropUnlogged()
	return l.out, nil
}

type lister struct {
	version string // directory in a tablespace that belongs to this server
	out     map[string]entry
}

func (l *lister) dir(place, path string) error {
	if emptied(path) {
		return nil
	}
	entries, err := os.ReadDir(place)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		sub := strings.TrimPrefix(path+"/"+name, "/")
		at := filepath.Join(place, name)
		inTablespace := filepath.Dir(path) == "pg_tblspc"
		switch {
		case leftOut.MatchString(name), inTablespace && name != l.version:
			continue
		case e.IsDir(), e.Type()&fs.ModeSymlink != 0 && (path == "pg_tblspc" || sub == "pg_wal"):
			l.out[sub] = entry{dir: true, place: at}
			if err := l.dir(at, sub); err != nil {
				return err
			}
		case e.Type().IsRegular() && !temporary.MatchString(name):
			l.out[sub] = entry{place: at}
		}
	}
	return nil
}

// dropUnlogged leaves out the forks of unlogged relations that recovery makes from the init fork.
func (l *lister) dropUnlogged() {
	for path := range l.out {
		rel, ok := pg.ParseRelPath(path)
		if !ok || rel.Fork == pg.InitFork {
			continue
		}
		init := filepath.Dir(path) + "/" + strconv.FormatUint(uint64(rel.Rel), 10) + "_init"
		if _, unlogged := l.out[init]; unlogged {
			delete(l.out, path)
		}
	}
}
