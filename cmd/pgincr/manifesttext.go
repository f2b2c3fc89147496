package main

import (
	"fmt"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/repo"
)

// typeName says what kind of backup it is, in a word or two.
func typeName(m *repo.Manifest) string {
	if m.CompactedFrom != "" {
		return m.Type + ", compacted"
	}
	return m.Type
}

// typeText says what a backup is and what it is built on.
func typeText(m *repo.Manifest) string {
	if m.Parent == "" {
		return m.Type
	}
	return m.Type + " on " + m.Parent
}

// pageMapText says where the changed pages came from and, after a fallback, why from there.
func pageMapText(m *repo.Manifest) string {
	if m.PageMap.FallbackReason == "" {
		return orDash(m.PageMap.Source)
	}
	return fmt.Sprintf("%s, because %s", m.PageMap.Source, m.PageMap.FallbackReason)
}

func pagesText(m *repo.Manifest) string {
	return fmt.Sprintf("%d of %d stored (%s)", m.BlocksStored, m.BlocksTotal,
		percentText(m.BlocksStored, m.BlocksTotal))
}

func sizeText(m *repo.Manifest) string {
	return fmt.Sprintf("%s in %d files; %s read, %s stored", human.Bytes(m.SizeBytes), m.FilesTotal,
		human.Bytes(m.BytesRead), human.Bytes(m.StoredBytes))
}

// takenOverText says what interrupted attempts had stored already.
func takenOverText(t *repo.TakenOver) string {
	return fmt.Sprintf("%d frames of %s, from the attempt of %s", t.Frames, human.Bytes(t.Bytes),
		t.BegunAt.UTC().Format("2006-01-02 15:04:05Z"))
}

func walText(m *repo.Manifest) string {
	where := "in the archive"
	if m.WAL.Mode == repo.WALCarried {
		where = "carried by the backup"
	}
	return fmt.Sprintf("%s to %s on timeline %d, %s", m.StartLSN, m.StopLSN, m.Timeline, where)
}
