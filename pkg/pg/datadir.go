package pg

// ServerDirs gives the directories of a data directory that a server does not make itself (subdirs in
// initdb.c), parents first. A backup may know nothing of those that were empty.
func ServerDirs(major int) []string {
	dirs := []string{
		"base", "global", "pg_commit_ts", "pg_dynshmem", "pg_logical", "pg_logical/mappings",
		"pg_logical/snapshots", "pg_multixact", "pg_multixact/members", "pg_multixact/offsets",
		"pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat", "pg_stat_tmp",
		"pg_subtrans", "pg_tblspc", "pg_twophase", "pg_wal", "pg_wal/archive_status", "pg_xact",
	}
	if major >= 17 {
		dirs = append(dirs, "pg_wal/summaries")
	}
	return dirs
}
