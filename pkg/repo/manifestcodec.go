package repo

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pgincr/pgincr/pkg/pg"
)

// encodeManifest gives the bytes of manifest.json. The same manifest gives the same bytes.
func encodeManifest(m *Manifest) ([]byte, error) {
	w := *m
	w.Format = FormatVersion
	w.CorruptPages = orEmpty(w.CorruptPages)
	w.Warnings = orEmpty(w.Warnings)
	w.Tablespaces = orEmpty(w.Tablespaces)
	w.Objects = orEmpty(w.Objects)
	w.WAL.Segments = orEmpty(w.WAL.Segments)
	if w.Annotations = maps.Clone(w.Annotations); w.Annotations == nil {
		w.Annotations = map[string]string{}
	}
	if err := w.verify(); err != nil {
		return nil, err
	}
	if err := w.eachPath(armor); err != nil {
		return nil, err
	}
	return seal(&w)
}

// armorPrefix marks a string that JSON could not hold as it is. No path begins with a NUL byte.
const armorPrefix = "\x00base64:"

// armor makes a string valid UTF-8: paths and what the server hands out need not be.
func armor(s string) (string, error) {
	if utf8.ValidString(s) && !strings.HasPrefix(s, armorPrefix) {
		return s, nil
	}
	return armorPrefix + base64.StdEncoding.EncodeToString([]byte(s)), nil
}

// unarmor is the inverse of armor.
func unarmor(s string) (string, error) {
	coded, ok := strings.CutPrefix(s, armorPrefix)
	if !ok {
		return s, nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(coded)
	return string(b), err
}

// eachPath changes the strings whose every byte matters. Lists are copied before.
func (m *Manifest) eachPath(change func(string) (string, error)) error {
	m.Tablespaces = slices.Clone(m.Tablespaces)
	m.CorruptPages = slices.Clone(m.CorruptPages)
	m.CrossFindings = slices.Clone(m.CrossFindings)
	m.Databases = slices.Clone(m.Databases)
	m.Configuration = slices.Clone(m.Configuration)
	all := []*string{&m.History, &m.BackupLabel, &m.TablespaceMap, &m.DataDirectory}
	for i := range m.Tablespaces {
		all = append(all, &m.Tablespaces[i].Path)
	}
	for i := range m.Databases {
		all = append(all, &m.Databases[i].Name)
	}
	for i := range m.Configuration {
		all = append(all, &m.Configuration[i].Path)
	}
	for i := range m.CorruptPages {
		all = append(all, &m.CorruptPages[i].Path)
	}
	for i := range m.CrossFindings {
		all = append(all, &m.CrossFindings[i].Path)
	}
	for _, s := range all {
		var err error
		if *s, err = change(*s); err != nil {
			return err
		}
	}
	return nil
}

// orEmpty makes null an empty list.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// decodeManifest reads and verifies manifest.json of the backup called id.
func decodeManifest(data []byte, id string) (*Manifest, error) {
	m := new(Manifest)
	if err := unseal(data, m); err != nil {
		return nil, err
	}
	err := m.eachPath(unarmor)
	if err == nil {
		err = m.verify()
	}
	if err == nil && m.ID != id {
		err = fmt.Errorf("it is of backup %q", m.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return m, nil
}

// verify refuses what no backup is. Both sides of the disk use it.
func (m *Manifest) verify() error {
	_, kind, err := ParseID(m.ID)
	switch {
	case err != nil:
		return err
	case m.Type != kind:
		return fmt.Errorf("type %q of backup %s", m.Type, m.ID)
	case m.Status != StatusOK:
		return fmt.Errorf("status %q", m.Status)
	case (m.Type == TypeFull) != (m.Parent == ""):
		return fmt.Errorf("parent %q of a backup that is %s", m.Parent, m.Type)
	case m.Timeline == 0 || m.StartLSN == 0 || m.StopLSN < m.StartLSN:
		return fmt.Errorf("positions %s to %s on timeline %d", m.StartLSN, m.StopLSN, m.Timeline)
	case m.SystemIdentifier == 0:
		return fmt.Errorf("no system identifier")
	case m.WAL.Mode != WALArchived && m.WAL.Mode != WALCarried:
		return fmt.Errorf("WAL mode %q", m.WAL.Mode)
	}
	if err := VerifyClusterName(m.Cluster); err != nil {
		return err
	}
	if m.Parent != "" {
		if _, _, err := ParseID(m.Parent); err != nil || m.Parent == m.ID {
			return fmt.Errorf("parent %q", m.Parent)
		}
	}
	if err := m.verifyCompacted(); err != nil {
		return err
	}
	if err := m.Geometry.Verify(); err != nil {
		return err
	}
	for _, s := range m.WAL.Segments {
		if err := verifyWALName(s); err != nil {
			return err
		}
	}
	if err := m.verifyMark(); err != nil {
		return err
	}
	if err := verifyConfiguration(m.Configuration); err != nil {
		return err
	}
	return verifyObjects(m.Objects)
}

// markSegments is the most segments that a mark may be of.
const markSegments = 2

// verifyMark bounds what it takes to compare a mark.
func (m *Manifest) verifyMark() error {
	k := m.WALMark
	if k == nil {
		return nil
	}
	size := pg.LSN(m.Geometry.WALSegmentSize)
	if k.From%size != 0 || k.From >= m.StopLSN || m.StopLSN-k.From > markSegments*size ||
		k.From < m.StartLSN-m.StartLSN%size {
		return fmt.Errorf("WAL mark from %s to %s", k.From, m.StopLSN)
	}
	if _, err := strconv.ParseUint(k.Sum, 16, 64); err != nil || len(k.Sum) != sumDigits {
		return fmt.Errorf("WAL mark: checksum %q", k.Sum)
	}
	return nil
}

// verifyObjects checks the list of objects: names that can be, each once, in order.
func verifyObjects(objects []Object) error {
	for i, o := range objects {
		if err := VerifyObjectName(o.Name); err != nil {
			return err
		}
		if o.Size < objectHeaderSize+frameHeaderSize+endSize {
			return fmt.Errorf("object %s of %d bytes", o.Name, o.Size)
		}
		if _, err := strconv.ParseUint(o.Sum, 16, 64); err != nil || len(o.Sum) != sumDigits {
			return fmt.Errorf("object %s: checksum %q", o.Name, o.Sum)
		}
		if i > 0 && objects[i-1].Name >= o.Name {
			return fmt.Errorf("object %s: not in order", o.Name)
		}
	}
	return nil
}

// object finds an object of the backup by name.
func (m *Manifest) object(name string) (Object, bool) {
	i, ok := slices.BinarySearchFunc(m.Objects, name, func(o Object, n string) int {
		switch {
		case o.Name < n:
			return -1
		case o.Name > n:
			return 1
		}
		return 0
	})
	if !ok {
		return Object{}, false
	}
	return m.Objects[i], true
}
