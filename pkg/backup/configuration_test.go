package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// What a file includes, as guc-file.l and hba.c read it.
func TestIncludes(t *testing.T) {
	for _, tt := range []struct {
		setting, line string
		want          string // path, and what it is
	}{
		{"config_file", "include 'a.conf'", "/etc/pg/a.conf"},
		{"config_file", "  INCLUDE = '/srv/a b.conf' # why", "/srv/a b.conf"},
		{"config_file", "include_if_exists='it''s\\\\.conf'", "/etc/pg/it's\\.conf optional"},
		{"config_file", "include_dir conf.d", "/etc/pg/conf.d dir"},
		{"config_file", "include_dir = '../common'", "/etc/common dir"},
		{"config_file", "# include 'a.conf'", ""},
		{"config_file", "include 'a.conf", ""},
		{"config_file", "include_path = 'x'", ""},
		{"config_file", "search_path = 'include'", ""},
		{"config_file", "include ''", ""},
		{"config_file", "", ""},
		{"hba_file", "include hba.more", "/etc/pg/hba.more"},
		{"hba_file", "include_dir \"hba d\"", "/etc/pg/hba d dir"},
		{"hba_file", "include_if_exists /x # y", "/x optional"},
		{"hba_file", "\"include\" x", ""},
		{"hba_file", "include x y", ""},
		{"hba_file", "host @dbs all,@users,\"@quoted\" @no md5 a=@b", "/etc/pg/dbs list, /etc/pg/users list"},
		{"hba_file", "host all @\"my users\" 10.0.0.0/8 \\\nmd5", "/etc/pg/my users list"},
		{"hba_file", "host @, @ x", ""},
		{"ident_file", "map @sys @roles", "/etc/pg/roles list"},
	} {
		var got []string
		for _, in := range includes(tt.setting, "/etc/pg/x.conf", tt.line+"\n", false) {
			text := in.path
			for name, is := range map[string]bool{" optional": in.optional, " dir": in.dir, " list": in.tokens} {
				if is {
					text += name
				}
			}
			got = append(got, text)
		}
		if s := strings.Join(got, ", "); s != tt.want {
			t.Errorf("%s: %q, want %q", tt.line, s, tt.want)
		}
	}
	found := includes("hba_file", "/etc/pg/users", "a, @more\ninclude b\n", true)
	if len(found) != 1 || found[0] != (configInclude{path: "/etc/pg/more", tokens: true}) {
		t.Errorf("in a list: %+v", found)
	}
}

// configured makes a data directory and an etc beside it, and gives what is found: path below the parent of both and
// what there is of it.
func configured(t *testing.T, files map[string]string, s *fakeServer) []string {
	t.Helper()
	top := filepath.Dir(s.info.DataDirectory)
	for name, content := range files {
		write(t, top, name, []byte(content))
	}
	found, err := findConfiguration(t.Context(), s, s.info.DataDirectory)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found.files {
		rel, err := filepath.Rel(top, f.Path)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%s %s", f.Setting, rel)
		if f.Included {
			text += " included"
		}
		if f.Missing != "" {
			text += ": " + f.Missing
		} else if want, ok := files[rel]; ok && string(f.Content) != want || f.Size != int64(len(f.Content)) {
			t.Errorf("%s: %q", rel, f.Content)
		}
		got = append(got, text)
	}
	for _, text := range found.warnings {
		got = append(got, "warning: "+strings.ReplaceAll(text, top, ""))
	}
	return got
}

// configServer is a server whose three files lie in a directory beside its data directory.
func configServer(t *testing.T, conf, hba, ident string) *fakeServer {
	t.Helper()
	root := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	top := filepath.Dir(root)
	return &fakeServer{info: server.Info{DataDirectory: root}, config: []server.ConfigFile{
		{Setting: "config_file", Path: filepath.Join(top, conf)},
		{Setting: "hba_file", Path: filepath.Join(top, hba)},
		{Setting: "ident_file", Path: filepath.Join(top, ident)},
	}}
}

// Files outside are found with all that they include, whatever lies in the data directory is not, loops end, and what
// cannot be read is named.
func TestFindConfiguration(t *testing.T) {
	s := configServer(t, "etc/postgresql.conf", "etc/pg_hba.conf", "etc/pg_ident.conf")
	got := configured(t, map[string]string{
		"etc/postgresql.conf": "include_dir 'conf.d'\ninclude_if_exists 'none'\ninclude '../data/in.conf'\n" +
			"include 'gone.conf'\n",
		"etc/conf.d/b.conf":      "include '../postgresql.conf'\n",
		"etc/conf.d/a.conf":      "",
		"etc/conf.d/.hid.conf":   "",
		"etc/conf.d/README":      "",
		"etc/pg_hba.conf":        "local @dbs all peer\n",
		"etc/dbs":                "a @more\n",
		"etc/more":               "b",
		"data/in.conf":           "include '../etc/from-inside.conf'\n",
		"etc/from-inside.conf":   "",
		"etc/pg_ident.conf/file": "",
	}, s)
	want := []string{
		"config_file etc/postgresql.conf", "config_file etc/conf.d/a.conf included", "config_file etc/conf.d/b.conf included",
		"config_file etc/from-inside.conf included", "config_file etc/gone.conf included: no such file or directory",
		"hba_file etc/pg_hba.conf", "hba_file etc/dbs included", "hba_file etc/more included",
		"ident_file etc/pg_ident.conf: not a regular file",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A file that is not here, as with a server in a container, is asked for over the session.
func TestConfigurationBySQL(t *testing.T) {
	s := configServer(t, "etc/postgresql.conf", "etc/pg_hba.conf", "data/pg_ident.conf")
	top := filepath.Dir(s.info.DataDirectory)
	s.readable = map[string]string{
		filepath.Join(top, "etc/postgresql.conf"): "include 'more.conf'\n", filepath.Join(top, "etc/more.conf"): "x = 1\n",
	}
	got := configured(t, nil, s)
	want := []string{
		"config_file etc/postgresql.conf", "config_file etc/more.conf included",
		"hba_file etc/pg_hba.conf: no such file or directory",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A link in the data directory is not followed by the copy of it: the file that it leads to lies outside, and what
// that includes is looked for where the server does, beside the link.
func TestConfigurationBehindLink(t *testing.T) {
	s := configServer(t, "data/postgresql.conf", "data/pg_hba.conf", "data/pg_ident.conf")
	if err := os.Symlink("../etc/real.conf", filepath.Join(s.info.DataDirectory, "postgresql.conf")); err != nil {
		t.Fatal(err)
	}
	got := configured(t, map[string]string{
		"etc/real.conf": "include 'beside.conf'\n", "data/beside.conf": "", "etc/beside.conf": "", "data/pg_hba.conf": "",
	}, s)
	if d := cmp.Diff([]string{"config_file etc/real.conf"}, got); d != "" {
		t.Error(d)
	}
}

// Nothing that a configuration may say keeps a backup from being made: neither two ways to one file, nor a name that no
// file can have, nor too many files, which are warned of.
func TestStrangeConfiguration(t *testing.T) {
	s := configServer(t, "data/postgresql.conf", "data/pg_hba.conf", "etc/pg_ident.conf")
	for _, name := range []string{"pg_hba.conf", "a.conf", "b.conf"} {
		if err := os.Symlink("../etc/shared", filepath.Join(s.info.DataDirectory, name)); err != nil {
			t.Fatal(err)
		}
	}
	long := "/" + strings.Repeat("x/", 2100) + "x"
	got := configured(t, map[string]string{
		"etc/shared":           "",
		"data/postgresql.conf": "include 'a.conf'\ninclude 'b.conf'\ninclude '/'\ninclude 'a\x00b'\ninclude '" + long + "'\n",
		"etc/pg_ident.conf":    "",
	}, s)
	want := []string{
		"config_file etc/shared included", "ident_file etc/pg_ident.conf",
		`warning: configuration file "/" is not part of the backup`,
		`warning: configuration file "` + long + `" is not part of the backup`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	s = configServer(t, "etc/postgresql.conf", "etc/pg_hba.conf", "etc/pg_ident.conf")
	files := map[string]string{
		"etc/postgresql.conf": "include_dir 'conf.d'\n", "etc/pg_hba.conf": "", "etc/pg_ident.conf": "",
	}
	for i := range repo.MaxConfigFiles {
		files[fmt.Sprintf("etc/conf.d/%04d.conf", i)] = ""
	}
	got = configured(t, files, s)
	want = []string{"warning: /etc/conf.d/0999.conf: configuration (config_file) that is not part of the backup: " +
		"it has more than 1000 files"}
	if len(got) != repo.MaxConfigFiles+1 || !cmp.Equal(got[repo.MaxConfigFiles:], want) {
		t.Errorf("%d files: %q", len(got), got[len(got)-1])
	}
}

// The repository has what there was, with its mode, and the backup tells what it lacks.
func TestConfigurationInBackup(t *testing.T) {
	x := newSite(t)
	conf := x.s.config[0].Path
	x.s.config = append(x.s.config, server.ConfigFile{Setting: "hba_file", Path: conf + ".none"})
	for _, content := range []string{"one = 1\n", "two = 2\n"} {
		if err := errors.Join(os.WriteFile(conf, []byte(content), 0o600), os.Chmod(conf, 0o640)); err != nil {
			t.Fatal(err)
		}
		m := x.must(t, nil)
		r, err := x.c.OpenBackup(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		files, err := r.Configuration(t.Context())
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if len(files) != 2 || string(files[0].Content) != content || files[0].Mode != 0o640 || files[0].Path != conf ||
			files[1].Missing != "no such file or directory" {
			t.Errorf("%+v", files)
		}
		if len(m.Warnings) != 1 || !strings.HasPrefix(m.Warnings[0], conf+".none: configuration (hba_file) ") {
			t.Errorf("warnings %q", m.Warnings)
		}
	}
}
