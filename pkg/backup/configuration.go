package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/pkg/repo"
)

// maxConfigDepth is CONF_FILE_MAX_DEPTH, to which the server follows files that include each other.
const maxConfigDepth = 10

// configuration finds the server's configuration outside the data directory: the files of config_file,
// hba_file and ident_file, wherever they are, are read and searched for what they include. A file
// that this process cannot read is asked for over the session, which only few roles may.
//
// Memory: all files that are kept, at most repo.MaxConfigBytes, and one more.
type configuration struct {
	session Session
	dataDir string // as this process reaches it
	server  string // as the server calls it

	files    []repo.ConfigContent
	warnings []string
	seen     map[string]bool // by path
	kept     map[string]bool // by where they lie, to which several paths may lead
	bytes    int64
	full     bool
}

// findConfiguration gives all such files. What cannot be had has a reason, and a warning if not even its name can
// be kept; the error is for the session's.
func findConfiguration(ctx context.Context, s Session, dataDir string) (*configuration, error) {
	c := &configuration{
		session: s, dataDir: filepath.Clean(dataDir), server: filepath.Clean(s.Info().DataDirectory),
		seen: map[string]bool{}, kept: map[string]bool{},
	}
	known, err := s.ConfigFiles(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range known {
		depth := 0
		if f.Included {
			depth = 1
		}
		c.follow(ctx, f.Setting, configInclude{path: f.Path}, depth)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	slices.SortStableFunc(c.files, func(a, b repo.ConfigContent) int { return strings.Compare(a.Setting, b.Setting) })
	return c, nil
}

// keepConfiguration puts them into the backup, and warns of those that cannot be there.
func (r *run) keepConfiguration(ctx context.Context, b *repo.BackupWriter) error {
	c, err := findConfiguration(ctx, r.s, r.o.DataDir)
	if err != nil {
		return err
	}
	for _, f := range c.files {
		if f.Missing != "" {
			r.warnings.add("%s: configuration (%s) outside the data directory, not part of the backup: %s",
				f.Path, f.Setting, f.Missing)
		}
	}
	for _, text := range c.warnings {
		r.warnings.add("%s", text)
	}
	r.m.Configuration, err = b.PutConfiguration(ctx, c.files)
	return err
}

// follow keeps a file that lies outside, and goes on with what it includes.
func (c *configuration) follow(ctx context.Context, setting string, in configInclude, depth int) {
	path := filepath.Clean(in.path)
	if c.full || c.seen[path] || depth > maxConfigDepth {
		return
	}
	if len(c.seen) == repo.MaxConfigFiles {
		c.full = true
		c.warnings = append(c.warnings, fmt.Sprintf(
			"%s: configuration (%s) that is not part of the backup: it has more than %d files", path, setting, len(c.seen)))
		return
	}
	c.seen[path] = true
	here, place := c.locate(path)
	f, err := c.read(ctx, path, here)
	if errors.Is(err, fs.ErrNotExist) && in.optional {
		return
	}
	if place != "" && !c.kept[place] {
		c.kept[place] = true
		f.ConfigFile = repo.ConfigFile{Setting: setting, Included: depth > 0, Path: place, Size: int64(len(f.Content))}
		c.keep(f, err)
	}
	for _, next := range includes(setting, path, string(f.Content), in.tokens) {
		for _, each := range c.expand(next) {
			c.follow(ctx, setting, each, depth+1)
		}
	}
}

// keep adds a file, or that it could not be read.
func (c *configuration) keep(f repo.ConfigContent, err error) {
	switch room := repo.MaxConfigBytes - c.bytes; {
	case err != nil:
		f = missingConfig(f.ConfigFile, reason(err))
	case !utf8.ValidString(f.Path):
		f = missingConfig(f.ConfigFile, "its name is not UTF-8")
	case f.Size > room:
		f = missingConfig(f.ConfigFile, fmt.Sprintf("all together have more than %d bytes", repo.MaxConfigBytes))
	}
	if err := f.Verify(); err != nil {
		c.warnings = append(c.warnings, fmt.Sprintf("%v is not part of the backup", err))
		return
	}
	c.bytes += f.Size
	c.files = append(c.files, f)
}

func missingConfig(f repo.ConfigFile, why string) repo.ConfigContent {
	f.Size, f.Missing = 0, why
	return repo.ConfigContent{ConfigFile: f}
}

// reason is what is wrong with a file, without its name.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}

// locate says where this process finds a file of the server, and where it lies outside the data directory; "" if it
// does not. A link in the data directory that leads out of it is not copied with it, so what it leads to lies outside.
func (c *configuration) locate(path string) (here, place string) {
	here, place = path, path
	within := false
	if rel, err := filepath.Rel(c.server, path); err == nil && filepath.IsLocal(rel) {
		here, within = filepath.Join(c.dataDir, rel), true
	}
	root, err := filepath.EvalSymlinks(c.dataDir)
	if err != nil {
		root = c.dataDir
	}
	resolved, err := filepath.EvalSymlinks(here)
	if err != nil {
		resolved = here
	}
	if within {
		place = resolved
	}
	if rel, err := filepath.Rel(root, resolved); err == nil && filepath.IsLocal(rel) {
		place = ""
	}
	return here, place
}

// read gives a file as it is on this host or, where that does not work, as the server reads it.
func (c *configuration) read(ctx context.Context, path, here string) (repo.ConfigContent, error) {
	f, err := c.readHere(here)
	if err == nil || errors.Is(err, errTooLong) {
		return f, err
	}
	b, serr := c.session.ReadFile(ctx, path, repo.MaxConfigBytes+1)
	switch {
	case serr != nil:
		return f, err // what this host says is what an administrator can mend
	case len(b) > repo.MaxConfigBytes:
		return f, errTooLong
	}
	// Owner and mode cannot be asked for: those of the data directory are the server's.
	st, err := statPath(c.dataDir, true)
	if err != nil {
		return f, err
	}
	return repo.ConfigContent{Content: b, Mode: 0o600, UID: st.uid, GID: st.gid, ModTime: st.mtime}, nil
}

var errTooLong = fmt.Errorf("longer than %d bytes", repo.MaxConfigBytes)

// readHere reads a file of this host.
func (c *configuration) readHere(path string) (f repo.ConfigContent, err error) {
	in, err := c.open(path)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	var st unix.Stat_t
	if err := unix.Fstat(int(in.Fd()), &st); err != nil {
		return f, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return f, errNotRegular
	}
	f.Mode, f.UID, f.GID = uint32(fs.FileMode(st.Mode).Perm()), st.Uid, st.Gid
	f.ModTime = time.Unix(st.Mtim.Unix())
	if f.Content, err = io.ReadAll(io.LimitReader(in, repo.MaxConfigBytes+1)); err != nil {
		return f, err
	}
	if len(f.Content) > repo.MaxConfigBytes {
		return f, errTooLong
	}
	return f, nil
}

// expand gives the files of a directory that is included, as the server takes them (GetConfFilesInDir): those that end
// in .conf and do not begin with a dot, in order. A directory that cannot be listed becomes a file that cannot be read.
func (c *configuration) expand(in configInclude) []configInclude {
	if !in.dir {
		return []configInclude{in}
	}
	here, _ := c.locate(in.path)
	var names []string
	d, err := c.open(here)
	if err == nil {
		names, err = d.Readdirnames(-1)
		err = errors.Join(err, d.Close())
	}
	if err != nil {
		return []configInclude{{path: in.path}}
	}
	slices.Sort(names)
	var files []configInclude
	for _, name := range names {
		if strings.HasSuffix(name, ".conf") && name[0] != '.' {
			files = append(files, configInclude{path: filepath.Join(in.path, name)})
		}
	}
	return files
}
