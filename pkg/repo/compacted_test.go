package repo_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
)

// The id of a compacted backup follows from that of the incremental one.
func TestCompactedID(t *testing.T) {
	for id, want := range map[string]string{incrID: "20261123T083811Z-F", fullID: "", "": "", "latest": ""} {
		if got := repo.CompactedID(id); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}

// A backup has its second to itself, so that a compacted one always finds its name free.
func TestOneBackupInASecond(t *testing.T) {
	c := newTestCluster(t, newTestStore(t))
	storeSmallChain(t, c)
	for _, id := range []string{fullID, "20261123T083810Z-I", incrID, "20261123T083811Z-F"} {
		if _, err := c.CreateBackup(t.Context(), id, zstd); !errors.Is(err, repo.ErrExists) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := c.CreateCompacted(t.Context(), fullID, zstd); err == nil {
		t.Error("a full backup compacted")
	}
	if _, err := c.Compacted(t.Context(), incrID); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("compacted: %v", err)
	}
}

// A manifest that claims to be compacted from what it cannot be is not committed.
func TestWrongCompacted(t *testing.T) {
	c := newTestCluster(t, newTestStore(t))
	for _, from := range []string{incrID, fullID, "x", "20261123T083810Z-I"} {
		m := testManifest(fullID, "", 0x2000028)
		m.CompactedFrom = from
		if from != "20261123T083810Z-I" {
			m.CompactedAt = time.Unix(1_790_000_000, 0)
		}
		if _, err := store(t.Context(), c, m, smallFull); err == nil {
			t.Errorf("compacted from %q", from)
		}
	}
}
