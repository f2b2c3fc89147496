package restore

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Names that a restore makes itself, or that must not come from another server's life.
const (
	controlPath    = "global/pg_control"
	labelName      = "backup_label"
	autoConfName   = "postgresql.auto.conf"
	recoverySignal = "recovery.signal"
	standbySignal  = "standby.signal"
	walDirName     = "pg_wal"
	tblspcDirName  = "pg_tblspc"
	rootPath       = "." // the data directory's own entry: its mode and owner
)

// pathGuard takes the entries of an index in their order and refuses those that
// would be written outside of the data directory, or twice.
type pathGuard struct {
	prev     string
	prevKind repo.FileKind
}

// verify refuses the next entry with repo.ErrCorrupt, or accepts it.
func (g *pathGuard) verify(f *repo.File) error {
	if reason := g.refuse(f); reason != "" {
		return fmt.Errorf("index: path %q: %s: %w", f.Path, reason, repo.ErrCorrupt)
	}
	g.prev, g.prevKind = f.Path, f.Kind
	return nil
}

// refuse gives the reason why an entry cannot be accepted, or nothing.
func (g *pathGuard) refuse(f *repo.File) string {
	if f.Path == rootPath {
		if f.Kind != repo.KindDir || g.prev != "" {
			return "is not a directory at the head of the index"
		}
		return ""
	}
	if reason := refusePath(f.Path); reason != "" {
		return reason
	}
	if g.prev != "" && g.prev != rootPath && pg.ComparePaths(g.prev, f.Path) >= 0 {
		return "out of order"
	}
	// In this order nothing stands between an entry and what would lie below it.
	if g.prevKind != repo.KindDir && g.prevKind != repo.KindLink && strings.HasPrefix(f.Path, g.prev+"/") && g.prev != "" {
		return "lies below a file"
	}
	if f.Kind == repo.KindLink {
		return refuseLink(f)
	}
	if f.Kind != repo.KindDir && f.Kind != repo.KindFile && f.Kind != repo.KindRelation {
		return "is of an unknown kind"
	}
	if f.Size < 0 {
		return "has a negative size"
	}
	return ""
}

// refusePath accepts relative paths of plain names only.
func refusePath(p string) string {
	switch {
	case p == "":
		return "is empty"
	case strings.HasPrefix(p, "/"):
		return "is absolute"
	case strings.ContainsRune(p, 0):
		return "contains a zero byte"
	}
	for name := range strings.SplitSeq(p, "/") {
		switch name {
		case "":
			return "has an empty element"
		case ".", "..":
			return "has an element " + name
		}
	}
	return ""
}

// refuseLink accepts links where PostgreSQL has them: pg_tblspc/<oid>.
func refuseLink(f *repo.File) string {
	if _, ok := linkOID(f.Path); !ok {
		return "is a link that is no tablespace"
	}
	if !path.IsAbs(f.Link) || strings.ContainsRune(f.Link, 0) {
		return fmt.Sprintf("is a link to %q", f.Link)
	}
	return ""
}

// linkOID gives the tablespace whose link has this path.
func linkOID(p string) (pg.OID, bool) {
	name, ok := strings.CutPrefix(p, tblspcDirName+"/")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(name, 10, 32)
	return pg.OID(n), err == nil && n > 0 && strconv.FormatUint(n, 10) == name
}

// left says whether a restore leaves out a path of the index: it decides itself about
// recovery and WAL, and what told of another server's life is stale here.
// Directories below pg_wal are kept.
func left(f *repo.File) bool {
	if f.Kind == repo.KindDir {
		return false
	}
	switch f.Path {
	case controlPath, labelName, recoverySignal, standbySignal, markerName, pg.BackupManifestName,
		"tablespace_map", "postmaster.pid", "postmaster.opts":
		return true
	}
	return strings.HasPrefix(f.Path, walDirName+"/")
}

// listed says whether pg_verifybackup wants a file of this path in backup_manifest;
// it ignores what changes without being wrong (pg_verifybackup.c).
func listed(p string) bool {
	return p != autoConfName && !strings.HasPrefix(p, walDirName+"/")
}
