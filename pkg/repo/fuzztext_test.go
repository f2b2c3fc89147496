package repo

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgincr/pgincr/pkg/pg"
)

// sealBody seals JSON whatever it is.
func sealBody(body []byte) []byte {
	b := append(bytes.Clone(body), sealSum...)
	return append(appendSum(b), sealClose...)
}

// A manifest is refused, or is read, written and read again as the same.
func FuzzManifest(f *testing.F) {
	m := &Manifest{
		ID: "20261123T083810Z-F", Cluster: "main", Type: TypeFull, Status: StatusOK,
		Timeline: 1, StartLSN: 0x2000028, StopLSN: 0x2000138, SystemIdentifier: 7,
		Geometry: pg.DefaultGeometry(), WAL: WALNeed{Mode: WALArchived},
		Objects: []Object{{"000001.pack", 300, "0123456789abcdef"}}, Annotations: map[string]string{"k": "<v>"},
		TablespaceMap: "16999 /srv/\xff\n", Tablespaces: []pg.TablespaceLink{{OID: 16999, Path: "/srv/\xff"}},
	}
	data, err := encodeManifest(m)
	if err != nil {
		f.Fatal(err)
	}
	body, intact := sealedBody(data)
	if !intact {
		f.Fatal("not intact")
	}
	f.Add(body)
	f.Add([]byte(sealOpen + "2,"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := decodeManifest(body, "20261123T083810Z-F"); err == nil {
			t.Fatal("taken without a seal")
		}
		m, err := decodeManifest(sealBody(body), "20261123T083810Z-F")
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		data, err := encodeManifest(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeManifest(data, m.ID)
		if d := cmp.Diff(m, again, cmpopts.EquateEmpty()); d != "" || err != nil {
			t.Fatal(d, err)
		}
	})
}

// A cluster's entry is refused, or is one that Init could have written.
func FuzzClusterInfo(f *testing.F) {
	info := ClusterInfo{Format: 1, Name: "main", SystemIdentifier: 7, PGVersion: 150018, Geometry: pg.DefaultGeometry()}
	data, err := seal(info)
	if err != nil {
		f.Fatal(err)
	}
	body, _ := sealedBody(data)
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := OpenCluster(t.Context(), bytesStore{data: sealBody(body)}, "main")
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		if err := c.Info.verify(); err != nil {
			t.Fatal(err)
		}
	})
}

// An id is refused, or is what NewID gives at its time.
func FuzzParseID(f *testing.F) {
	f.Add("20261123T083810Z-F")
	f.Add("20261123T083810Z-I")
	f.Fuzz(func(t *testing.T, id string) {
		begun, kind, err := ParseID(id)
		if err == nil && NewID(begun, kind, func(string) bool { return false }) != id {
			t.Fatal(id)
		}
	})
}

// -Z is refused, or prints as it was given.
func FuzzParseCompression(f *testing.F) {
	f.Add("zstd:3")
	f.Add("lz4")
	f.Fuzz(func(t *testing.T, s string) {
		if z, err := ParseCompression(s); err == nil && z.String() != s {
			t.Fatal(s)
		}
	})
}

// A drill is refused, or is one that PutDrill could have written.
func FuzzDrill(f *testing.F) {
	d := &Drill{
		Format: 1, ID: "20261125T030000Z", Backup: "20261123T083810Z-F", Result: DrillOK, Reached: &Reached{LSN: 1},
	}
	data, err := seal(d)
	if err != nil {
		f.Fatal(err)
	}
	body, _ := sealedBody(data)
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := decodeDrill(sealBody(body), "20261125T030000Z")
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		if err := d.verify(); err != nil {
			t.Fatal(err)
		}
	})
}
