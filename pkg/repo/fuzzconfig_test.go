package repo

import (
	"archive/tar"
	"bytes"
	"testing"
)

// Whatever the archive of a configuration holds, reading it gives what the manifest lists, or an error.
func FuzzConfiguration(f *testing.F) {
	list := []ConfigFile{
		{Setting: "config_file", Path: "/etc/a.conf", Size: 3},
		{Setting: "hba_file", Path: "/etc/b.conf", Missing: "permission denied"},
		{Setting: "ident_file", Path: "/etc/c.conf"},
	}
	if err := verifyConfiguration(list); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"etc/a.conf", "etc/../etc/a.conf", "/etc/a.conf"} {
		var buf bytes.Buffer
		w := tar.NewWriter(&buf)
		for i, name := range []string{name, "etc/c.conf"} {
			content := []byte("x=1")[:3-3*i]
			err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o600})
			if _, werr := w.Write(content); err != nil || werr != nil {
				f.Fatal(err, werr)
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(buf.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := readConfiguration(data, list)
		if err != nil {
			return
		}
		for i, f := range files {
			if f.ConfigFile != list[i] || int64(len(f.Content)) != f.Size || f.Mode&^0o777 != 0 {
				t.Errorf("%+v", f)
			}
		}
	})
}

// Lists that would lead out of a directory, or are without bounds, are refused on both sides of the disk.
func TestVerifyConfiguration(t *testing.T) {
	good := ConfigFile{Setting: "hba_file", Path: "/etc/pg_hba.conf", Size: 5}
	for name, change := range map[string]func(*ConfigFile){
		"relative":      func(f *ConfigFile) { f.Path = "etc/pg_hba.conf" },
		"upwards":       func(f *ConfigFile) { f.Path = "/etc/../../pg_hba.conf" },
		"not clean":     func(f *ConfigFile) { f.Path = "/etc//pg_hba.conf" },
		"root":          func(f *ConfigFile) { f.Path = "/" },
		"zero byte":     func(f *ConfigFile) { f.Path = "/etc/\x00" },
		"twice":         func(f *ConfigFile) { f.Path = "/etc/pg_ident.conf" },
		"setting":       func(f *ConfigFile) { f.Setting = "ssl_key_file" },
		"negative":      func(f *ConfigFile) { f.Size = -1 },
		"large":         func(f *ConfigFile) { f.Size = MaxConfigBytes + 1 },
		"large in all":  func(f *ConfigFile) { f.Size = MaxConfigBytes },
		"missing, size": func(f *ConfigFile) { f.Missing = "gone" },
	} {
		bad := good
		change(&bad)
		list := []ConfigFile{{Setting: "ident_file", Path: "/etc/pg_ident.conf", Size: 1}, bad}
		if err := verifyConfiguration(list); err == nil {
			t.Errorf("%s: %+v is not refused", name, bad)
		}
	}
	if err := verifyConfiguration(make([]ConfigFile, MaxConfigFiles+1)); err == nil {
		t.Error("too many are not refused")
	}
}
