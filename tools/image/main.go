// Command image puts a built pgincr into a container image, without an engine and without a base image:
//
//	image -binary FILE -arch amd64 -version 1.2.3 -revision COMMIT -created TIME -o FILE.tar
//
// The archive is an OCI layout that Docker's own format points into, so that docker load, podman load, skopeo and
// containerd take it. The same arguments give the same bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// name is what engines call the image, before the colon.
const name = "ghcr.io/pgincr/pgincr"

// options are the command line.
type options struct {
	binary, arch, version, revision, out string
	created                              time.Time
}

func main() {
	var o options
	var created string
	flag.StringVar(&o.binary, "binary", "", "the program, linked statically")
	flag.StringVar(&o.arch, "arch", "", "its architecture, as Go names it")
	flag.StringVar(&o.version, "version", "", "its version, the tag of the image")
	flag.StringVar(&o.revision, "revision", "", "the commit it was built from")
	flag.StringVar(&created, "created", "", "time of all files and of the image, RFC 3339")
	flag.StringVar(&o.out, "o", "", "the archive to write")
	flag.Parse()
	var err error
	if o.created, err = time.Parse(time.RFC3339, created); err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run builds the image and writes the archive.
func run(o options) (err error) {
	if o.binary == "" || o.arch == "" || o.version == "" || o.out == "" {
		return errors.New("-binary, -arch, -version and -o are needed")
	}
	image, err := build(o)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(o.out), "image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	// The first is the tag's name of the specification, the second what containerd and Docker go by.
	err = path.AppendImage(image, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": o.version,
		"io.containerd.image.name":          name + ":" + o.version,
	}), layout.WithPlatform(v1.Platform{OS: "linux", Architecture: o.arch}))
	if err != nil {
		return err
	}
	if err := verify(path, image); err != nil {
		return err
	}
	return writeArchive(dir, image, o)
}

// verify reads back what was written: every digest and size.
func verify(path layout.Path, image v1.Image) error {
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	written, err := path.Image(digest)
	if err != nil {
		return err
	}
	return validate.Image(written)
}

// build makes the image of one layer and what an engine needs to know to run it.
func build(o options) (v1.Image, error) {
	content, err := layer(o)
	if err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(opener(content),
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{
		Layer:   l,
		History: v1.History{Created: v1.Time{Time: o.created}, CreatedBy: "tools/image"},
	})
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = "linux", o.arch, v1.Time{Time: o.created}
	file.Config = v1.Config{
		User:       fmt.Sprintf("%d:%d", postgres, postgres),
		Entrypoint: []string{"/usr/bin/pgincr"},
		Cmd:        []string{"--help"},
		WorkingDir: "/",
		Env:        []string{"PATH=/usr/bin", "HOME=/var/lib/postgresql", "PGINCR_REPO=/var/lib/pgincr"},
		Labels: map[string]string{
			"org.opencontainers.image.title":         "pgincr",
			"org.opencontainers.image.description":   "Full and incremental physical backups of PostgreSQL",
			"org.opencontainers.image.source":        "https://github.com/pgincr/pgincr",
			"org.opencontainers.image.documentation": "https://github.com/pgincr/pgincr/blob/main/docs/containers.md",
			"org.opencontainers.image.version":       o.version,
			"org.opencontainers.image.revision":      o.revision,
		},
	}
	return mutate.ConfigFile(image, file)
}
