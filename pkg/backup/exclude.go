package backup

import (
	"strings"
)

// What PostgreSQL's own base backups leave out (backup/basebackup.c), and why.

// emptied says whether a directory directly below the data directory is kept, but not
// what it holds: the server makes it anew at every start, or it is of no use to a restored
// one (replication slots).
func emptied(dir string) bool {
	switch dir {
	case "pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial",
		"pg_snapshots", "pg_subtrans":
		return true
	}
	return false
}

// excludedName says whether files and directories of this name are left out wherever they are.
func excludedName(name string) bool {
	switch name {
	case "postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label", "tablespace_map",
		"backup_manifest", "postmaster.pid", "postmaster.opts", ".DS_Store":
		return true
	}
	// Relation cache files (RELCACHE_INIT_FILENAME and its temporary forms) and
	// temporary files and directories of queries.
	return strings.HasPrefix(name, "pg_internal.init") || strings.HasPrefix(name, "pgsql_tmp")
}

// excludedRoot says whether a file directly below the data directory is left out besides. A
// restore decides what the restored server is to be; that the source was a
// standby must not decide it.
func excludedRoot(name string) bool {
	return name == "recovery.signal" || name == "standby.signal"
}

// isTempRelation recognises t<backend>_<relation>[_fork][.segment], which no other session
// than its own ever reads (looks_like_temp_rel_name, storage/file/reinit.c).
func isTempRelation(name string) bool {
	rest, ok := strings.CutPrefix(name, "t")
	if !ok {
		return false
	}
	backend, rel, ok := strings.Cut(rest, "_")
	if !ok || !isDigits(backend) {
		return false
	}
	stem, seg, hasSeg := strings.Cut(rel, ".")
	if hasSeg && !isDigits(seg) {
		return false
	}
	number, fork, hasFork := strings.Cut(stem, "_")
	if hasFork && fork != "fsm" && fork != "vm" && fork != "init" {
		return false
	}
	return isDigits(number)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
