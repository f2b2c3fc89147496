package repo

import (
	"fmt"
	"strings"
)

// Names of objects, relative to the cluster's entry or to the backup.
const (
	clusterObject  = "cluster.json"
	backupsPrefix  = "backups/"
	walPrefix      = "wal/"
	mapsPrefix     = "maps/"
	partsPrefix    = "parts/"
	locksPrefix    = "locks/"
	pinsPrefix     = "pins/"
	drillsPrefix   = "drills/"
	manifestObject = "manifest.json"
	indexObject    = "index"
	controlObject  = "control"
	configObject   = "configuration"
)

// packObject names a pack; the hash object of its pages is hashesObject, the list of its files filesObject.
func packObject(n uint32) string { return fmt.Sprintf("%06d.pack", n) }

func hashesObject(n uint32) string { return fmt.Sprintf("%06d.hashes", n) }

func filesObject(n uint32) string { return fmt.Sprintf("%06d.files", n) }

// maxObjectName bounds the name of an object; object stores allow 1024 bytes.
const maxObjectName = 900

// VerifyObjectName refuses names that are not the same on every store: elements
// of printable ASCII without a leading dot, divided by single slashes.
func VerifyObjectName(name string) error {
	if len(name) > maxObjectName {
		return fmt.Errorf("object name of %d bytes: longer than %d", len(name), maxObjectName)
	}
	for e := range strings.SplitSeq(name, "/") {
		if err := verifyElement(e); err != nil {
			return fmt.Errorf("object %q: %w", name, err)
		}
	}
	return nil
}

// verifyElement refuses what cannot be one element of an object's name.
func verifyElement(e string) error {
	if e == "" || e[0] == '.' || len(e) > 200 || strings.Contains(e, "/") {
		return fmt.Errorf("%q cannot be part of a name", e)
	}
	for i := range len(e) {
		if c := e[i]; c <= ' ' || c > '~' || c == '\\' {
			return fmt.Errorf("%q cannot be part of a name", e)
		}
	}
	return nil
}

// VerifyClusterName refuses names of clusters that are not 1 to 63 letters, digits, dots,
// underscores and hyphens, beginning with a letter or digit.
func VerifyClusterName(name string) error {
	ok := len(name) > 0 && len(name) <= 63
	for i := range len(name) {
		c := name[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		ok = ok && (alnum || i > 0 && (c == '.' || c == '_' || c == '-'))
	}
	if !ok {
		return fmt.Errorf("cluster name %q: want 1 to 63 letters, digits, dots, underscores and hyphens, "+
			"a letter or digit first", name)
	}
	return nil
}
