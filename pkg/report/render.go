package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

//go:embed page.html
var pageHTML string

//go:embed style.css
var styleCSS string

// Render writes the page.
func (d *Data) Render(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"bytes": human.Bytes, "time": human.Time, "source": sourceText, "class": sourceClass,
		"seconds": secondsText,
	}).Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return t.Execute(w, d.page())
}

// page is what the template is given.
type page struct {
	*Data
	Style               template.CSS
	Tiles               []tile
	Chain, Rate, Size   chart
	Heat                []heatRow
	Newest              []*repo.Manifest // newest first
	HasMap, HasScan     bool
	Incrementals, Fulls int
}

// tile is one number at the top.
type tile struct {
	Label, Value, Note string
	Bad                bool
}

func (d *Data) page() *page {
	p := &page{
		Data: d, Style: template.CSS(styleCSS), //nolint:gosec // it is our own
		Chain: d.chainChart(), Rate: d.rateChart(), Size: d.sizeChart(), Heat: d.heatRows(),
	}
	for i := len(d.Backups) - 1; i >= 0; i-- {
		m := d.Backups[i]
		p.Newest = append(p.Newest, m)
		switch {
		case m.Status != repo.StatusOK:
		case m.Type == repo.TypeFull:
			p.Fulls++
		default:
			p.Incrementals++
		}
	}
	p.Tiles = d.tiles(p)
	return p
}

// tiles are what an operator looks for first.
func (d *Data) tiles(p *page) []tile {
	var stored int64
	var last *repo.Manifest
	broken, corrupt := 0, 0
	for _, m := range d.Backups {
		if m.Status != repo.StatusOK {
			broken++
			continue
		}
		stored += m.StoredBytes
		last = m
		corrupt += len(m.CorruptPages)
	}
	newest := tile{Label: "newest backup", Value: "none", Bad: true}
	size := tile{Label: "cluster", Value: "–"}
	if last != nil {
		newest = tile{Label: "newest backup", Value: agoText(d.Made.Sub(last.FinishedAt)) + " ago", Note: last.ID}
		size = tile{
			Label: "cluster", Value: human.Bytes(last.SizeBytes),
			Note: fmt.Sprintf("%d files, PostgreSQL %d", last.FilesTotal, last.PGVersion/10000),
		}
	}
	lost := 0
	for _, g := range d.Gaps {
		if !g.Expired {
			lost++
		}
	}
	tiles := []tile{
		newest, size,
		{
			Label: "backups", Value: fmt.Sprint(p.Fulls + p.Incrementals),
			Note: fmt.Sprintf("%d full, %d incremental", p.Fulls, p.Incrementals),
		},
		{Label: "stored", Value: human.Bytes(stored), Note: "without archived WAL"},
		{Label: "gaps in the WAL", Value: fmt.Sprint(lost), Bad: lost > 0},
	}
	if broken > 0 {
		tiles = append(tiles, tile{Label: "backups that cannot be read", Value: fmt.Sprint(broken), Bad: true})
	}
	if corrupt > 0 {
		tiles = append(tiles, tile{Label: "corrupt pages reported", Value: fmt.Sprint(corrupt), Bad: true})
	}
	return tiles
}

// heatRow is one relation of the heat map.
type heatRow struct {
	Relation
	Label string
	Cells []heatCell
}

// heatCell is a stretch of a relation; Level is 0 (never stored) to 5.
type heatCell struct {
	X     float64
	W     float64
	Level int
	Title string
}

// HeatWidth is that of the map in the units of its SVG.
func (heatRow) HeatWidth() int { return heatWidth }

const (
	heatWidth  = 640
	heatLevels = 5
)

// heatRows makes cells of counts. Levels are those of a logarithm, since some blocks change in every
// backup and most in none.
func (d *Data) heatRows() []heatRow {
	rows := make([]heatRow, len(d.Relations))
	for i, r := range d.Relations {
		row := heatRow{Relation: r, Label: r.Name}
		if row.Label == "" {
			row.Label = r.fork().String()
		}
		stretches := max((r.Blocks+r.Stretch-1)/r.Stretch, uint64(len(r.Heat)))
		w := heatWidth / float64(stretches)
		for j, n := range r.Heat {
			if n == 0 {
				continue
			}
			first := uint64(j) * r.Stretch
			row.Cells = append(row.Cells, heatCell{
				X: round(float64(j) * w), W: round(w + 0.3), Level: d.level(n, r.Stretch),
				Title: fmt.Sprintf("blocks %d to %d: stored %d times in %d backups",
					first, min(first+r.Stretch, r.Blocks)-1, n, d.Looked),
			})
		}
		rows[i] = row
	}
	return rows
}

// level says how hot a stretch is: the share of its blocks that an average backup stores.
func (d *Data) level(n, stretch uint64) int {
	share := float64(n) / float64(stretch) / float64(max(1, d.Looked))
	return min(heatLevels, max(1, heatLevels+int(math.Floor(math.Log10(share)*1.5))+1))
}

// Bytes is the size of the relation.
func (r Relation) Bytes(g pg.Geometry) int64 { return int64(r.Blocks) * int64(g.BlockSize) }
