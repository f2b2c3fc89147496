package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pgincr/pgincr/pkg/server"
)

// postgresInstall is one installation of PostgreSQL's programs.
type postgresInstall struct {
	bindir  string
	version string // as postgres --version prints it
	major   int
}

// postgresWanted says what an installation must have.
type postgresWanted struct {
	bindir   string // where it must be; "": anywhere
	programs []string
	major    int // 0: any that is supported
}

// missingPostgresError: no installation has all programs.
type missingPostgresError struct {
	Major int // 0: any
	Tried []string
}

func (e *missingPostgresError) Error() string {
	name := "PostgreSQL"
	if e.Major != 0 {
		name += fmt.Sprintf(" %d", e.Major)
	}
	if len(e.Tried) == 0 {
		return name + ": not found"
	}
	return name + ": no complete installation found: " + strings.Join(e.Tried, "; ")
}

// findPostgres gives the first complete installation of a supported version: the one named, or that of
// pg_config, of PATH, or the newest in the places where packages put them.
func findPostgres(ctx context.Context, want postgresWanted) (postgresInstall, error) {
	candidates := []string{want.bindir}
	if want.bindir == "" {
		candidates = postgresDirs(ctx)
	}
	missing := &missingPostgresError{Major: want.major}
	for _, dir := range candidates {
		install, err := inspectPostgres(ctx, dir, want)
		if err == nil {
			return install, nil
		}
		if ctx.Err() != nil {
			return install, context.Cause(ctx)
		}
		missing.Tried = append(missing.Tried, err.Error())
	}
	return postgresInstall{}, missing
}

// postgresDirs lists directories that may have the programs, each once.
func postgresDirs(ctx context.Context) []string {
	var dirs []string
	add := func(dir string) {
		if dir != "" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		add(strings.TrimSpace(string(out)))
	}
	for _, name := range []string{"postgres", "initdb"} {
		if path, err := exec.LookPath(name); err == nil {
			if path, err = filepath.EvalSymlinks(path); err == nil {
				add(filepath.Dir(path))
			}
		}
	}
	var packaged []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",            // Debian
		"/usr/pgsql-*/bin",                     // PGDG's rpm
		"/opt/homebrew/opt/postgresql@*/bin",   // Homebrew
		"/usr/local/opt/postgresql@*/bin",      // Homebrew on Intel
		"/Applications/Postgres.app/*/*/bin",   // Postgres.app
		"/usr/local/pgsql/bin", "/usr/lib/bin", // from source; SUSE
	} {
		if found, err := filepath.Glob(pattern); err == nil {
			packaged = append(packaged, found...)
		}
	}
	slices.SortStableFunc(packaged, func(a, b string) int { return cmp.Compare(majorOf(b), majorOf(a)) })
	for _, dir := range packaged {
		add(dir)
	}
	return dirs
}

// majorOf reads the version out of a directory's name, for the order only.
func majorOf(dir string) int {
	name := filepath.Base(filepath.Dir(dir))
	n, err := strconv.Atoi(name[strings.LastIndexAny(name, "-@")+1:])
	if err != nil {
		return 0
	}
	return n
}

// inspectPostgres proves that an installation is complete and of a version that is wanted.
func inspectPostgres(ctx context.Context, dir string, want postgresWanted) (postgresInstall, error) {
	for _, name := range want.programs {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return postgresInstall{}, fmt.Errorf("%s has no %s", dir, name)
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return postgresInstall{}, err
	}
	//nolint:gosec // the program is where the user or the system's packages say
	out, err := exec.CommandContext(ctx, filepath.Join(abs, "postgres"), "--version").Output()
	if err != nil {
		return postgresInstall{}, fmt.Errorf("%s: postgres --version: %w", dir, err)
	}
	i := postgresInstall{bindir: abs, version: strings.TrimPrefix(strings.TrimSpace(string(out)), "postgres ")}
	if i.major, err = parseMajor(i.version); err != nil {
		return i, fmt.Errorf("%s: %w", dir, err)
	}
	if want.major != 0 && i.major != want.major {
		return i, fmt.Errorf("%s is of version %d", dir, i.major)
	}
	if i.major < server.OldestMajor || i.major > server.NewestMajor {
		return i, fmt.Errorf("%s is of version %d, want %d to %d", dir, i.major, server.OldestMajor, server.NewestMajor)
	}
	return i, nil
}

// parseMajor reads "(PostgreSQL) 17.10 (Debian …)" and "(PostgreSQL) 18beta1".
func parseMajor(version string) (int, error) {
	_, rest, ok := strings.Cut(version, ") ")
	digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		digits = len(rest)
	}
	n, err := strconv.Atoi(rest[:digits])
	if !ok || err != nil {
		return 0, errors.New("not a version: " + version)
	}
	return n, nil
}
