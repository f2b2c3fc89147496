package repo

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

// ConfigFile is a file of the server's configuration that lies outside the data directory.
type ConfigFile struct {
	Setting  string `json:"setting"`            // config_file, hba_file or ident_file
	Included bool   `json:"included,omitempty"` // it is not the file that the setting names, but included by that
	Path     string `json:"path"`               // absolute and clean, as the server's host has it
	Size     int64  `json:"size"`               // bytes; 0 if Missing
	Missing  string `json:"missing,omitempty"`  // why the backup does not hold it
}

// ConfigContent is such a file with what the backup holds of it.
type ConfigContent struct {
	ConfigFile
	Mode     uint32 // permission bits
	UID, GID uint32
	ModTime  time.Time // whole seconds
	Content  []byte
}

// Bounds of a backup's configuration: files, and bytes of all of them.
const (
	MaxConfigFiles = 1000
	MaxConfigBytes = 16 << 20
)

// maxConfigPath bounds a path (PATH_MAX), and with it what an archive has besides content.
const (
	maxConfigPath   = 4096
	maxConfigObject = MaxConfigBytes + MaxConfigFiles*(maxConfigPath+4096)
)

// PutConfiguration stores what there is of files outside the data directory, as one object, and gives what
// the manifest says of them. Those that are missing are only listed.
func (b *BackupWriter) PutConfiguration(ctx context.Context, files []ConfigContent) ([]ConfigFile, error) {
	var list []ConfigFile
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	stored := 0
	for i := range files {
		f := &files[i]
		list = append(list, f.ConfigFile)
		if f.Missing != "" {
			continue
		}
		stored++
		err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.Path, "/"), Size: f.Size, Mode: int64(f.Mode),
			Uid: int(f.UID), Gid: int(f.GID), ModTime: f.ModTime.Truncate(time.Second),
		})
		if err == nil {
			_, err = w.Write(f.Content)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	if err := errors.Join(w.Close(), verifyConfiguration(list)); err != nil || stored == 0 {
		return list, err
	}
	h := b.c.backupHeader(b.id, kindConfig, 0)
	o, _, err := b.envelopes.put(ctx, b.c.st, b.prefix+configObject, h, &buf)
	if err != nil {
		return nil, err
	}
	b.addObject(configObject, o)
	return list, nil
}

// Configuration gives the files of configuration that lay outside the data directory, those that are missing
// included, in the order of the manifest.
func (r *BackupReader) Configuration(ctx context.Context) ([]ConfigContent, error) {
	list := r.Manifest.Configuration
	if !storesConfiguration(list) {
		return readConfiguration(nil, list)
	}
	name := r.prefix + configObject
	e, err := openEnvelope(ctx, r.c.st, r.c.d, name, r.c.backupHeader(r.Manifest.ID, kindConfig, 0))
	if err != nil {
		return nil, missing(name, err)
	}
	data := make([]byte, maxConfigObject+1)
	n, ended, err := fill(e, data)
	if err == nil && !ended {
		err = fmt.Errorf("%s: %w: more than %d bytes", name, ErrCorrupt, maxConfigObject)
	}
	if err = errors.Join(err, e.Close()); err != nil {
		return nil, err
	}
	files, err := readConfiguration(data[:n], list)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrCorrupt, err)
	}
	return files, nil
}

// storesConfiguration says whether there is an object.
func storesConfiguration(list []ConfigFile) bool {
	for _, f := range list {
		if f.Missing == "" {
			return true
		}
	}
	return false
}

// readConfiguration reads the content of the files in list, which was verified, from a tar archive; nil: there is none.
func readConfiguration(data []byte, list []ConfigFile) ([]ConfigContent, error) {
	files := make([]ConfigContent, len(list))
	archive := tar.NewReader(bytes.NewReader(data))
	for i, f := range list {
		files[i].ConfigFile = f
		if f.Missing != "" {
			continue
		}
		h, err := archive.Next()
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		case h.Typeflag != tar.TypeReg || "/"+h.Name != f.Path || h.Size != f.Size:
			return nil, fmt.Errorf("%q of %d bytes, want %s of %d", h.Name, h.Size, f.Path, f.Size)
		}
		files[i].Mode, files[i].ModTime = uint32(h.Mode)&0o777, h.ModTime
		files[i].UID, files[i].GID = uint32(h.Uid), uint32(h.Gid)
		files[i].Content = make([]byte, f.Size)
		if _, err := io.ReadFull(archive, files[i].Content); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	if _, err := archive.Next(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than the manifest lists")
	}
	return files, nil
}

// verifyConfiguration refuses lists that no backup has. Both sides of the disk use it.
func verifyConfiguration(list []ConfigFile) error {
	if len(list) > MaxConfigFiles {
		return fmt.Errorf("%d configuration files, more than %d", len(list), MaxConfigFiles)
	}
	seen := map[string]bool{}
	total := int64(0)
	for _, f := range list {
		if err := f.Verify(); err != nil {
			return err
		}
		if seen[f.Path] {
			return fmt.Errorf("configuration file %q twice", f.Path)
		}
		seen[f.Path] = true
		if total += f.Size; total > MaxConfigBytes {
			return fmt.Errorf("configuration of more than %d bytes", int64(MaxConfigBytes))
		}
	}
	return nil
}

// Verify refuses what no list of a backup has.
func (f *ConfigFile) Verify() error {
	switch f.Setting {
	case "config_file", "hba_file", "ident_file":
	default:
		return fmt.Errorf("configuration file %q of setting %q", f.Path, f.Setting)
	}
	if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" || strings.ContainsRune(f.Path, 0) ||
		len(f.Path) > maxConfigPath {
		return fmt.Errorf("configuration file %q", f.Path)
	}
	if f.Size < 0 || f.Size > MaxConfigBytes || f.Missing != "" && f.Size != 0 {
		return fmt.Errorf("configuration file %q of %d bytes", f.Path, f.Size)
	}
	return nil
}
