package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/repo"
)

// fabConfig is configuration outside of a data directory.
func fabConfig() []repo.ConfigContent {
	var files []repo.ConfigContent
	for i, name := range []string{"postgresql.conf", "conf.d/a.conf", "pg_hba.conf"} {
		setting := "config_file"
		if i == 2 {
			setting = "hba_file"
		}
		content := strings.Repeat("# "+name+"\n", i+1)
		files = append(files, repo.ConfigContent{
			ConfigFile: repo.ConfigFile{
				Setting: setting, Included: i == 1, Path: "/etc/postgresql/15/main/" + name, Size: int64(len(content)),
			},
			Mode: 0o640, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), ModTime: time.Unix(1000, 0),
			Content: []byte(content),
		})
	}
	return append(files, repo.ConfigContent{ConfigFile: repo.ConfigFile{
		Setting: "ident_file", Path: "/etc/pg_ident.conf", Missing: "permission denied",
	}})
}

// compareConfig finds every difference between what was put below dir and what was backed up.
func compareConfig(dir string, want []repo.ConfigContent) error {
	var errs []error
	left := 0
	for _, f := range want {
		if f.Missing != "" {
			continue
		}
		left++
		b, err := os.ReadFile(filepath.Join(dir, f.Path))
		if err != nil {
			return err
		}
		st, err := os.Stat(filepath.Join(dir, f.Path))
		if err != nil {
			return err
		}
		if string(b) != string(f.Content) || uint32(st.Mode()) != f.Mode || !st.ModTime().Equal(f.ModTime) {
			errs = append(errs, fmt.Errorf("%s: %q, mode %o, of %s", f.Path, b, st.Mode(), st.ModTime()))
		}
	}
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			left--
		}
		return err
	})
	if left != 0 {
		errs = append(errs, fmt.Errorf("%s: %d files are missing", dir, left))
	}
	return errors.Join(append(errs, err)...)
}

// Configuration goes below the directory that was named, is never put over another file or into the cluster, and does
// not stay when the restore fails.
func TestRestoreConfiguration(t *testing.T) {
	fb := newFab(t, nil)
	fb.config = fabConfig()
	fb.add(model{"PG_VERSION": {mode: 0o600, mtime: time.Unix(7, 0).UTC(), data: []byte("15\n")}})
	top := pgtest.TempDir(t)
	etc := filepath.Join(top, "etc")
	o := Options{
		Target: filepath.Join(top, "data"), Jobs: 2, ConfigDir: etc,
		TablespaceMap: map[string]string{fb.space: filepath.Join(top, "space")},
	}
	run := func(o Options) (*Result, error) { return Run(t.Context(), fb.cluster, fb.parent, o) }

	dry := o
	dry.DryRun = true
	r, err := run(dry)
	must(t, err)
	if c := r.Configuration; c == nil || c.Directory != etc || len(c.Files) != 4 || c.DataDirectory != "/original" ||
		c.Files[1].RestoredTo != filepath.Join(etc, "/etc/postgresql/15/main/conf.d/a.conf") || c.Files[3].RestoredTo != "" {
		t.Errorf("plan: %+v", c)
	}
	verifyGone(t, o.Target, etc)

	r, err = run(o)
	must(t, err, compareConfig(etc, fb.config))
	if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], "/etc/pg_ident.conf: not in the backup: ") {
		t.Errorf("warnings %q", r.Warnings)
	}

	hba := filepath.Join(etc, "etc/postgresql/15/main/pg_hba.conf")
	again := o
	again.Delta, again.DiscardWAL = true, true
	must(t, os.Chmod(hba, 0o600), os.Remove(filepath.Join(etc, "etc/postgresql/15/main/postgresql.conf")))
	if _, err = run(again); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(hba); err != nil || st.Mode() != 0o600 {
		t.Errorf("what was there already: %v, %v", st, err)
	}
	must(t, os.Chmod(hba, 0o640), compareConfig(etc, fb.config))

	must(t, os.WriteFile(hba, []byte("local all all trust\n"), 0o600))
	inside := again
	inside.ConfigDir = filepath.Join(o.Target, "etc")
	for _, refused := range []struct {
		o       Options
		problem TargetProblem
	}{{again, FileDiffers}, {inside, Overlaps}} {
		_, err := run(refused.o)
		var te *TargetError
		if !errors.As(err, &te) || te.Problem != refused.problem {
			t.Errorf("%s: %v", refused.o.ConfigDir, err)
		}
	}
	if _, err := os.Stat(filepath.Join(o.Target, controlPath)); err != nil {
		t.Errorf("a restore that was refused has begun: %v", err)
	}

	blocked := o
	blocked.Target, blocked.ConfigDir = filepath.Join(top, "new"), filepath.Join(top, "etc2")
	blocked.TablespaceMap = map[string]string{fb.space: filepath.Join(top, "space2")}
	must(t, os.MkdirAll(filepath.Join(blocked.ConfigDir, "etc/postgresql/15/main"), 0o755),
		os.WriteFile(filepath.Join(blocked.ConfigDir, "etc/postgresql/15/main/conf.d"), nil, 0o600))
	_, err = run(blocked)
	var u *UnfinishedError
	if !errors.Is(err, unix.ENOTDIR) || errors.As(err, &u) {
		t.Errorf("a file where a directory belongs: %v", err)
	}
	verifyGone(t, blocked.Target, filepath.Join(blocked.ConfigDir, "etc/postgresql/15/main/postgresql.conf"))
}

// Root lets no backup say which files of the host are written.
func TestConfigurationAnywhere(t *testing.T) {
	pgtest.AsRoot(t, "what it may write anywhere")
	fb := newFab(t, nil)
	fb.config = fabConfig()
	fb.add(model{"PG_VERSION": {mode: 0o600, mtime: time.Unix(7, 0).UTC(), data: []byte("15\n")}})
	top := pgtest.TempDir(t)
	link := filepath.Join(top, "link")
	must(t, os.Symlink("/", link))
	for _, dir := range []string{"/", link} {
		_, err := Run(t.Context(), fb.cluster, fb.parent, Options{
			Target: filepath.Join(top, "data"), Jobs: 2, ConfigDir: dir,
			TablespaceMap: map[string]string{fb.space: filepath.Join(top, "space")},
		})
		var te *TargetError
		if !errors.As(err, &te) || te.Problem != RootAnywhere {
			t.Errorf("%s: %v", dir, err)
		}
	}
	verifyGone(t, filepath.Join(top, "data"), "/etc/postgresql/15/main/conf.d/a.conf")
}

// A restore that fails while it writes configuration removes what it wrote of it, and leaves what was there as it was.
func TestConfigurationHalfWritten(t *testing.T) {
	fb := newFab(t, nil)
	fb.config = fabConfig()
	last := fb.config[2]
	last.Path += "/below-a-file"
	fb.config = append(fb.config, last)
	fb.add(model{"PG_VERSION": {mode: 0o600, mtime: time.Unix(7, 0).UTC(), data: []byte("15\n")}})
	top := pgtest.TempDir(t)
	etc := filepath.Join(top, "etc")
	there := filepath.Join(etc, fb.config[1].Path)
	must(t, os.MkdirAll(filepath.Dir(there), 0o755), os.WriteFile(there, fb.config[1].Content, 0o600))
	_, err := Run(t.Context(), fb.cluster, fb.parent, Options{
		Target: filepath.Join(top, "data"), Jobs: 2, ConfigDir: etc,
		TablespaceMap: map[string]string{fb.space: filepath.Join(top, "space")},
	})
	var u *UnfinishedError
	if !errors.As(err, &u) || !u.Removed || !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file below a file: %v", err)
	}
	if st, err := os.Stat(there); err != nil || st.Mode() != 0o600 {
		t.Errorf("what was there: %v, %v", st, err)
	}
	verifyGone(t, filepath.Join(top, "data"), filepath.Join(etc, fb.config[0].Path), filepath.Join(etc, fb.config[2].Path))

	// Nor do the directories stay that were made for it.
	other := filepath.Join(top, "other")
	_, err = Run(t.Context(), fb.cluster, fb.parent, Options{
		Target: filepath.Join(top, "data"), Jobs: 2, ConfigDir: other,
		TablespaceMap: map[string]string{fb.space: filepath.Join(top, "space")},
	})
	if !errors.As(err, &u) || !u.Removed || !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file below a file: %v", err)
	}
	verifyGone(t, other)
}
