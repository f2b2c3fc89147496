package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// postgres is the user and the group of PostgreSQL in the official image made from Debian: data directories in
// volumes are theirs.
const postgres = 999

// entry is a file of the image, or a directory, whose name ends with a slash.
type entry struct {
	name    string
	mode    int64
	owner   int
	content []byte
}

// layer is a tar archive of everything in the image.
func layer(o options) ([]byte, error) {
	binary, err := os.ReadFile(o.binary)
	if err != nil {
		return nil, err
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, e := range []entry{
		{"etc/", 0o755, 0, nil},
		{"etc/group", 0o644, 0, fmt.Appendf(nil, "root:x:0:\npostgres:x:%d:\n", postgres)},
		{"etc/passwd", 0o644, 0, fmt.Appendf(nil, "root:x:0:0::/:/sbin/nologin\n"+
			"postgres:x:%d:%d::/var/lib/postgresql:/sbin/nologin\n", postgres, postgres)},
		{"etc/ssl/", 0o755, 0, nil},
		{"etc/ssl/certs/", 0o755, 0, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, 0, certificates()},
		{"tmp/", 0o1777, 0, nil},
		{"usr/", 0o755, 0, nil},
		{"usr/bin/", 0o755, 0, nil},
		{"usr/bin/pgincr", 0o755, 0, binary},
		{"var/", 0o755, 0, nil},
		{"var/lib/", 0o755, 0, nil},
		// A new volume takes over the owner of the directory that it is mounted on.
		{"var/lib/pgincr/", 0o750, postgres, nil},
		{"var/lib/postgresql/", 0o750, postgres, nil},
	} {
		if err := e.write(w, o); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

func (e entry) write(w *tar.Writer, o options) error {
	header := tar.Header{
		Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner,
		Size: int64(len(e.content)), ModTime: o.created,
	}
	if strings.HasSuffix(e.name, "/") {
		header.Typeflag = tar.TypeDir
	}
	if err := w.WriteHeader(&header); err != nil {
		return err
	}
	_, err := w.Write(e.content)
	return err
}

// certificates are the roots that Mozilla trusts without conditions, so that object stores can be spoken to:
// from the library, not from the machine that builds, so that every build has the same.
func certificates() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue // a file of certificates cannot carry it
		}
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			panic(err) // of a constant
		}
		fmt.Fprintf(&b, "# %s\n", certificate.Subject)
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
	}
	return b.Bytes()
}

func opener(content []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
}
