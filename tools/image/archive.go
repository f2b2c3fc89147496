package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/v1"
)

// writeArchive packs a layout, and with it the file by which Docker's older stores find their
// way in one.
func writeArchive(dir string, image v1.Image, o options) (err error) {
	manifest, err := dockerManifest(image, o)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), manifest, 0o644); err != nil {
		return err
	}
	f, err := os.Create(o.out)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(o.out))
		}
	}()
	w := tar.NewWriter(f)
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return pack(w, dir, name, o)
	})
	return errors.Join(err, w.Close())
}

// pack adds one file of the layout: names are in order, and times and rights those of the release.
func pack(w *tar.Writer, dir, name string, o options) (err error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: info.Size(), ModTime: o.created}
	if err := w.WriteHeader(&header); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// dockerManifest is manifest.json of the archives that docker save writes.
func dockerManifest(image v1.Image, o options) ([]byte, error) {
	type entry struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	blob := func(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }
	e := entry{Config: blob(manifest.Config.Digest), RepoTags: []string{name + ":" + o.version}}
	for _, l := range manifest.Layers {
		e.Layers = append(e.Layers, blob(l.Digest))
	}
	return json.Marshal([]entry{e})
}
