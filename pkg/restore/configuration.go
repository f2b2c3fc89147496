package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/internal/durable"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Configuration is what the server reads from outside its data directory, and what became of it.
type Configuration struct {
	Directory     string       `json:"directory,omitempty"` // below which the files were put; "": nowhere
	DataDirectory string       `json:"data_directory"`      // that goes with them
	Files         []ConfigFile `json:"files"`
}

// ConfigFile is one file of it.
type ConfigFile struct {
	repo.ConfigFile
	RestoredTo string `json:"restored_to,omitempty"`
}

// configuration is what a restore writes outside of the data directory.
type configuration struct {
	files []repo.ConfigContent
	to    []string // where each goes; "" for what the backup lacks
	made  []string // by this restore
	dirs  []string // likewise, those above before those below
}

// planConfiguration decides where files of configuration go, and refuses to replace others or to write them where
// the cluster lies.
func (r *run) planConfiguration(ctx context.Context) error {
	m := r.plan.backup
	if len(m.Configuration) > 0 {
		r.result.Configuration = &Configuration{DataDirectory: m.DataDirectory}
	}
	for _, f := range m.Configuration {
		r.result.Configuration.Files = append(r.result.Configuration.Files, ConfigFile{ConfigFile: f})
	}
	if r.o.ConfigDir == "" {
		return nil
	}
	base, err := filepath.Abs(r.o.ConfigDir)
	if err != nil {
		return err
	}
	if len(m.Configuration) == 0 {
		r.result.Warnings = append(r.result.Warnings,
			base+": gets nothing: the backup has no configuration from outside the data directory")
		return nil
	}
	if err := verifyTrust(base); err != nil {
		return err
	}
	c := &r.config
	if c.files, err = r.plan.chain.Backups[0].Configuration(ctx); err != nil {
		return err
	}
	r.result.Configuration.Directory = base
	c.to = make([]string, len(c.files))
	for i, f := range c.files {
		if f.Missing != "" {
			r.result.Warnings = append(r.result.Warnings, fmt.Sprintf("%s: not in the backup: %s", f.Path, f.Missing))
			continue
		}
		to := filepath.Join(base, f.Path)
		if err := r.plan.layout.verifyOutside(to); err != nil {
			return err
		}
		there, err := sameContent(to, f.Content)
		if err == nil && !there {
			err = verifyCreates(to)
		}
		if err != nil {
			return err
		}
		c.to[i] = to
		r.result.Configuration.Files[i].RestoredTo = to
	}
	return nil
}

// verifyTrust keeps root from writing whatever a manifest names: who may write to the repository, the server's user for
// one, would be root.
func verifyTrust(base string) error {
	resolved, err := filepath.EvalSymlinks(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && resolved == "/" && privileged() {
		err = &TargetError{Dir: base, Problem: RootAnywhere}
	}
	return err
}

// verifyOutside refuses a file in one of the directories that the restore fills.
func (l *layout) verifyOutside(file string) error {
	resolved := withoutLinks(file)
	for _, p := range l.places() {
		if inside(resolved, withoutLinks(p.dir)) {
			return &TargetError{Dir: file, Problem: Overlaps, Detail: p.dir}
		}
	}
	return nil
}

// verifyCreates refuses a file that cannot be made, since the nearest directory above it that there is cannot be
// written.
func verifyCreates(file string) error {
	dir := filepath.Dir(file)
	st, err := os.Stat(dir)
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		st, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	if err = unix.Access(dir, unix.W_OK|unix.X_OK); !st.IsDir() {
		err = unix.ENOTDIR
	}
	if err != nil {
		return &fs.PathError{Op: "create " + filepath.Base(file), Path: dir, Err: err}
	}
	return nil
}

// sameContent says whether a file is there already. One with other content is an error.
func sameContent(file string, want []byte) (bool, error) {
	st, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && st.Mode().IsRegular() && st.Size() == int64(len(want)) {
		have, err := os.ReadFile(file)
		if err != nil || bytes.Equal(have, want) {
			return err == nil, err
		}
	}
	if err != nil {
		return false, err
	}
	return false, &TargetError{Dir: file, Problem: FileDiffers}
}

// write puts all files to their places, durably, and replaces none.
func (c *configuration) write() error {
	for i, f := range c.files {
		if to := c.to[i]; to != "" {
			if err := c.writeFile(to, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeFile writes one. What is there already stays as it is, with its owner and mode.
func (c *configuration) writeFile(to string, f repo.ConfigContent) error {
	if there, err := sameContent(to, f.Content); there || err != nil {
		return err
	}
	dir := filepath.Dir(to)
	c.dirs = append(c.dirs, missing(dir)...)
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	out, err := durable.Create(to, 0o600)
	if err != nil {
		return err
	}
	if _, err := out.Write(f.Content); err != nil {
		return errors.Join(err, out.Abort())
	}
	err = out.Commit()
	if !errors.Is(err, fs.ErrExist) { // else it is another's
		c.made = append(c.made, to)
	}
	if err != nil {
		return err
	}
	if privileged() {
		if err := os.Chown(to, int(f.UID), int(f.GID)); err != nil {
			return err
		}
	}
	return errors.Join(os.Chmod(to, fs.FileMode(f.Mode)), os.Chtimes(to, f.ModTime, f.ModTime))
}

// missing lists dir and what is above it as far as it is not there, from above.
func missing(dir string) (dirs []string) {
	for {
		_, err := os.Lstat(dir)
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			slices.Reverse(dirs)
			return dirs
		}
		dirs = append(dirs, dir)
		dir = filepath.Dir(dir)
	}
}

// remove takes away what was written, after a failure, and the directories that were made for it, unless somebody else
// has put something there.
func (c *configuration) remove() error {
	var errs []error
	for _, file := range c.made {
		if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for _, dir := range slices.Backward(c.dirs) {
		err := os.Remove(dir)
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) { // the latter: not empty
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
