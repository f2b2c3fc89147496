package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

// many is a cluster with n backups, every eighth of them full.
func many(n int) *Data {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := &Data{
		Made: begin.Add(time.Duration(n) * 24 * time.Hour), Repository: "/backup",
		Cluster: repo.ClusterInfo{Name: "a<b>&c", Geometry: pg.DefaultGeometry()},
	}
	for i := range n {
		at := begin.Add(time.Duration(i) * 24 * time.Hour)
		m := &repo.Manifest{
			ID: at.Format("20060102T150405Z") + "-I", Status: repo.StatusOK, Type: repo.TypeIncremental,
			StartedAt: at, FinishedAt: at.Add(time.Minute), SizeBytes: int64(i+1) << 30, StoredBytes: int64(i*i) << 10,
			BlocksTotal: 1 << 20, BlocksStored: int64(i),
			PageMap: repo.PageMapResult{Source: []string{"wal", "lsn", "summaries"}[i%3], FallbackReason: "<script>"},
		}
		if i%8 == 0 {
			m.Type, m.PageMap = repo.TypeFull, repo.PageMapResult{}
		}
		d.Backups = append(d.Backups, m)
	}
	return d
}

// The page is well-formed, loads nothing, and names every backup, also a thousand of them; what backups say is
// escaped.
func TestRender(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			d := many(n)
			if n > 0 {
				d.Relations = []Relation{{Blocks: 10, Changed: 3, Stretch: 1, Heat: []uint64{1, 0, 2}}}
				d.Looked = n
				d.Gaps = []restore.Gap{{Timeline: 1, First: "000000010000000000000001", Segments: 2}}
				last := d.Made
				d.Drills = []*repo.Drill{
					{
						Backup: d.Backups[0].ID, Result: repo.DrillFindings, RecoverySeconds: 75.4,
						Reached: &repo.Reached{LSN: 0x5000028, Timeline: 2, Time: &last},
						Checks:  []repo.Verdict{{Name: "sql", Result: repo.DrillFindings, Detail: "rows <short> of"}},
					},
					{Backup: d.Backups[0].ID, Result: repo.DrillFailed, Error: "disk <short>"},
				}
				d.Windows = []restore.Window{{Timeline: 1, From: 1, To: 2, Backup: d.Backups[0].ID}}
				d.Backups = append(d.Backups, &repo.Manifest{
					ID: "20260101T000000Z-F", Status: repo.StatusBroken, Warnings: []string{"cut <short>"},
				})
			}
			var b bytes.Buffer
			if err := d.Render(&b); err != nil {
				t.Fatal(err)
			}
			page := b.String()
			for _, m := range d.Backups {
				if !strings.Contains(page, m.ID) {
					t.Fatalf("%s is not on the page", m.ID)
				}
			}
			if n > 0 && (!strings.Contains(page, "1m15s") || !strings.Contains(page, "rows &lt;short") ||
				!strings.Contains(page, "disk &lt;short")) {
				t.Error("the drills are not on the page")
			}
			for _, never := range []string{"<script", "http://", "https://", "src=", "NaN", "Inf", "a<b>", "<short>"} {
				if strings.Contains(page, never) {
					t.Errorf("the page has %q", never)
				}
			}
			wellFormed(t, page)
		})
	}
}

// wellFormed fails the test unless all tags are closed.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(strings.ReplaceAll(page, "open><", `open="open"><`)))
	d.Entity = xml.HTMLEntity
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The heat of a relation counts every block once in the stretch it lies in, however it grew.
func TestHeat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &Relation{Stretch: 1}
		want := map[uint64]uint64{}
		for range rapid.IntRange(1, 20).Draw(t, "runs") {
			first := rapid.Uint64Range(0, 1<<20).Draw(t, "first")
			count := rapid.Uint64Range(1, 3000).Draw(t, "count")
			r.heat(first, count)
			for b := first; b < first+count; b++ {
				want[b]++
			}
		}
		sums := make([]uint64, len(r.Heat))
		for b, n := range want {
			sums[b/r.Stretch] += n
		}
		if diff := cmp.Diff(sums, r.Heat); diff != "" || len(r.Heat) > heatCells {
			t.Fatalf("stretch %d, %d cells: %s", r.Stretch, len(r.Heat), diff)
		}
	})
}

// Grids enclose what they show.
func TestLogScale(t *testing.T) {
	label := func(v float64) string { return human.Bytes(int64(v)) }
	var got []string
	for _, tick := range newLogScale([]float64{2 << 10, 3 << 20}, 1024).ticks(label) {
		got = append(got, tick.Label)
	}
	if diff := cmp.Diff([]string{"1 kB", "10 kB", "100 kB", "1 MB", "10 MB"}, got); diff != "" {
		t.Error(diff)
	}
	got = nil
	for _, tick := range newLogScale([]float64{0.00002, 0.009}, 1000).ticks(percentLabel) {
		got = append(got, tick.Label)
	}
	if diff := cmp.Diff([]string{"0.00001 %", "0.0001 %", "0.001 %", "0.01 %"}, got); diff != "" {
		t.Error(diff)
	}
	if one := percentLabel(100); one != "100 %" {
		t.Error(one)
	}
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Float64Range(0, 1e15)).Draw(t, "values")
		s := newLogScale(values, 1024)
		for _, v := range values {
			if y := s.y(v); y < chartTop-0.1 || y > chartHeight-chartBottom+0.1 {
				t.Fatalf("%g is at %g, grid %v", v, y, s.grid)
			}
		}
	})
}
