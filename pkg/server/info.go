package server

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Info is what a server says of itself.
type Info struct {
	Version          int // server_version_num
	SystemIdentifier uint64
	DataDirectory    string
	Port             int
	InRecovery       bool
	PostmasterStart  time.Time
	WALLevel         string
	FullPageWrites   bool
	WALLogHints      bool
	DataChecksums    bool
	ArchiveMode      string
	ArchiveCommand   string // "" when there is none
	ArchiveLibrary   string // 15+; "" when there is none
	SummarizeWAL     bool   // 17+
	User             string
	Database         string
	Superuser        bool
	Geometry         pg.Geometry
}

// Major gives 13 to 18.
func (i Info) Major() int { return i.Version / 10000 }

// Archives says whether the server hands finished WAL segments to an archive_command or archive_library.
func (i Info) Archives() bool {
	on := i.ArchiveMode == "always" || (i.ArchiveMode == "on" && !i.InRecovery)
	return on && (i.ArchiveCommand != "" || i.ArchiveLibrary != "")
}

// infoQuery works on every supported version: a setting that is not there is NULL.
const infoQuery = `SELECT (SELECT system_identifier::text FROM pg_control_system()),
	current_setting('data_directory'), current_setting('port')::int, pg_is_in_recovery(),
	extract(epoch FROM pg_postmaster_start_time())::text,
	current_setting('wal_level'), current_setting('full_page_writes')::bool,
	current_setting('wal_log_hints')::bool, current_setting('data_checksums')::bool,
	current_setting('archive_mode'), current_setting('archive_command'),
	coalesce(current_setting('archive_library', true), ''),
	coalesce(current_setting('summarize_wal', true)::bool, false),
	g.database_block_size, g.blocks_per_segment, g.wal_block_size, g.bytes_per_wal_segment
FROM pg_control_init() g`

// begin proves the version and sets the session up.
func (s *Server) begin(ctx context.Context) error {
	i := &s.info
	const session = `SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4,
		current_user::pg_catalog.text, pg_catalog.current_database()::pg_catalog.text,
		pg_catalog.current_setting('is_superuser')::pg_catalog.bool`
	err := s.queryRow(ctx, "server_version_num", session, nil,
		&i.Version, &i.User, &i.Database, &i.Superuser)
	if err != nil {
		return fmt.Errorf("server %s: %w", s.label, err)
	}
	if i.Major() < OldestMajor || i.Major() > NewestMajor {
		return &VersionError{Server: s.label, Version: i.Version}
	}
	if _, err := s.conn.Exec(ctx, sessionSettings); err != nil {
		return fmt.Errorf("server %s: %w", s.label, s.statementError(ctx, "session settings", err))
	}
	return nil
}

// loadInfo proves the role's rights and fills s.info.
func (s *Server) loadInfo(ctx context.Context) error {
	i := &s.info
	if err := s.verifyRights(ctx); err != nil {
		return err
	}
	var systemID, started string
	err := s.queryRow(ctx, "server settings", infoQuery, nil, &systemID, &i.DataDirectory, &i.Port,
		&i.InRecovery, &started, &i.WALLevel, &i.FullPageWrites, &i.WALLogHints, &i.DataChecksums,
		&i.ArchiveMode, &i.ArchiveCommand, &i.ArchiveLibrary, &i.SummarizeWAL, &i.Geometry.BlockSize,
		&i.Geometry.RelSegBlocks, &i.Geometry.WALBlockSize, &i.Geometry.WALSegmentSize)
	if err != nil {
		return fmt.Errorf("server %s: %w", s.label, err)
	}
	if i.ArchiveCommand == "(disabled)" { // show_archive_command, while archive_mode is off
		i.ArchiveCommand = ""
	}
	if i.SystemIdentifier, err = strconv.ParseUint(systemID, 10, 64); err != nil {
		return fmt.Errorf("server %s: system identifier %q: %w", s.label, systemID, err)
	}
	if err := i.Geometry.Verify(); err != nil {
		return fmt.Errorf("server %s: %w", s.label, err)
	}
	i.PostmasterStart, err = parseEpoch(started)
	if err != nil {
		return fmt.Errorf("server %s: start time: %w", s.label, err)
	}
	return nil
}

// parseEpoch reads seconds with up to six decimals.
func parseEpoch(s string) (time.Time, error) {
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(0, 0).Add(d.Round(time.Microsecond)).UTC(), nil
}

// function is a server function that only superusers may call unless it is granted.
type function struct{ name, signature string }

func (f function) String() string { return f.name + "(" + f.signature + ")" }

// startFunction and stopFunction are those of backup mode (func.sgml of each version).
func (i Info) startFunction() function {
	if i.Major() < 15 {
		return function{"pg_start_backup", "text, boolean, boolean"}
	}
	return function{"pg_backup_start", "text, boolean"}
}

func (i Info) stopFunction() function {
	if i.Major() < 15 {
		return function{"pg_stop_backup", "boolean, boolean"}
	}
	return function{"pg_backup_stop", "boolean"}
}

// verifyRights finds the first right that a backup needs and the role lacks.
func (s *Server) verifyRights(ctx context.Context) error {
	if s.info.Superuser {
		return nil
	}
	role := pgx.Identifier{s.info.User}.Sanitize()
	for _, f := range []function{s.info.startFunction(), s.info.stopFunction()} {
		var may bool
		err := s.queryRow(ctx, "has_function_privilege",
			"SELECT has_function_privilege($1::text, 'EXECUTE')", []any{"pg_catalog." + f.String()}, &may)
		if err != nil {
			return fmt.Errorf("server %s: %w", s.label, err)
		}
		if !may {
			return s.functionError(f)
		}
	}
	var may bool
	err := s.queryRow(ctx, "pg_has_role",
		"SELECT pg_has_role('pg_read_all_settings', 'USAGE')", nil, &may)
	if err != nil {
		return fmt.Errorf("server %s: %w", s.label, err)
	}
	if !may {
		return &PrivilegeError{
			Server: s.label, Role: s.info.User, Right: "membership in pg_read_all_settings",
			Grant: "GRANT pg_read_all_settings TO " + role,
		}
	}
	return nil
}

// functionError says that the role may not call f. Rights on functions are kept per database (pg_proc is not shared).
func (s *Server) functionError(f function) error {
	return &PrivilegeError{
		Server: s.label, Role: s.info.User, Database: s.info.Database,
		Right: "EXECUTE on function " + f.String(),
		Grant: fmt.Sprintf("GRANT EXECUTE ON FUNCTION pg_catalog.%s TO %s", f,
			pgx.Identifier{s.info.User}.Sanitize()),
	}
}
