package report

import (
	"fmt"
	"math"
	"time"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Geometry of charts, in the units of their SVG.
const (
	chartWidth  = 1080
	chartHeight = 190
	chartLeft   = 74 // room for the labels of the vertical axis
	chartBottom = 24 // room for those of the horizontal one
	chartTop    = 8
)

// chart is what the page needs to draw one.
type chart struct {
	Width, Height int
	Rows          []tick // of the vertical axis
	Columns       []tick // of time
	Marks         []mark
	Line          string // points of a polyline; "" none
}

// tick is a line of the grid with its label.
type tick struct {
	At    float64
	Label string
}

// mark is one backup.
type mark struct {
	X, Y, W, H float64
	Class      string
	Title      string
}

// timeScale maps times to positions.
type timeScale struct{ first, last time.Time }

// spread gives the scale that shows all backups and the moment of the page.
func (d *Data) spread() timeScale {
	s := timeScale{first: d.Made, last: d.Made}
	for _, m := range d.Backups {
		if t := m.StartedAt; t.Before(s.first) {
			s.first = t
		}
		if t := m.StartedAt; t.After(s.last) {
			s.last = t
		}
	}
	if s.last.Sub(s.first) < time.Minute {
		s.first = s.last.Add(-time.Minute)
	}
	return s
}

func (s timeScale) x(t time.Time) float64 {
	part := float64(t.Sub(s.first)) / float64(s.last.Sub(s.first))
	return round(chartLeft + part*(chartWidth-chartLeft-8))
}

// ticks are about six moments, at round steps.
func (s timeScale) ticks() []tick {
	steps := []time.Duration{
		time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour,
		6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 2 * 24 * time.Hour, 7 * 24 * time.Hour,
		14 * 24 * time.Hour, 30 * 24 * time.Hour, 91 * 24 * time.Hour, 182 * 24 * time.Hour, 365 * 24 * time.Hour,
	}
	span := s.last.Sub(s.first)
	step := steps[len(steps)-1]
	for _, c := range steps {
		if span/c <= 7 {
			step = c
			break
		}
	}
	format := "2006-01-02"
	switch {
	case step < time.Minute:
		format = "15:04:05"
	case step < 24*time.Hour:
		format = "Jan 2 15:04"
	}
	var out []tick
	for t := s.first.UTC().Truncate(step).Add(step); !t.After(s.last); t = t.Add(step) {
		out = append(out, tick{At: s.x(t), Label: t.Format(format)})
	}
	return out
}

// logScale maps positive values to heights, by their magnitude.
type logScale struct{ grid []float64 } // ascending; at least two

// newLogScale gives the scale whose grid encloses the values. unit is 1000 or, for bytes, 1024: the lines are at
// 1, 10 and 100 times its powers.
func newLogScale(values []float64, unit float64) logScale {
	low, high := math.Inf(1), 0.0
	for _, v := range values {
		if v > 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	if high == 0 {
		return logScale{[]float64{1, 10}}
	}
	var grid []float64
	for power := math.Pow(unit, -2); len(grid) < 2 || grid[len(grid)-1] < high; power *= unit {
		for _, v := range []float64{power, 10 * power, 100 * power} {
			if len(grid) > 0 && v <= low {
				grid = grid[:0]
			}
			if len(grid) < 2 || grid[len(grid)-1] < high {
				grid = append(grid, v)
			}
		}
	}
	return logScale{grid}
}

func (s logScale) y(v float64) float64 {
	low, high := math.Log(s.grid[0]), math.Log(s.grid[len(s.grid)-1])
	part := 0.0
	if v > s.grid[0] {
		part = (math.Log(v) - low) / (high - low)
	}
	return round(chartHeight - chartBottom - part*(chartHeight-chartBottom-chartTop))
}

func (s logScale) ticks(label func(float64) string) []tick {
	var out []tick
	step := (len(s.grid) + 4) / 5
	for i := 0; i < len(s.grid); i += step {
		out = append(out, tick{At: s.y(s.grid[i]), Label: label(s.grid[i])})
	}
	return out
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

// chainChart shows what each backup stores, over time.
func (d *Data) chainChart() chart {
	stored := func(m *repo.Manifest) float64 { return float64(m.StoredBytes) }
	c := d.chart(1024, stored, bytesLabel, every)
	floor := float64(chartHeight - chartBottom)
	for i := range c.Marks { // bars, not points
		c.Marks[i].H = max(floor-c.Marks[i].Y, 2)
		c.Marks[i].W = 3
	}
	return c
}

// rateChart shows which part of the cluster's pages each incremental stores.
func (d *Data) rateChart() chart {
	rate := func(m *repo.Manifest) float64 {
		if m.BlocksTotal == 0 {
			return 0
		}
		return 100 * float64(m.BlocksStored) / float64(m.BlocksTotal)
	}
	return d.chart(1000, rate, percentLabel,
		func(m *repo.Manifest) bool { return m.Type == repo.TypeIncremental })
}

// sizeChart shows the size of the cluster.
func (d *Data) sizeChart() chart {
	size := func(m *repo.Manifest) float64 { return float64(m.SizeBytes) }
	c := d.chart(1024, size, bytesLabel, every)
	for _, m := range c.Marks {
		c.Line += fmt.Sprintf("%g,%g ", m.X+m.W/2, m.Y+m.H/2)
	}
	return c
}

// percentLabel writes a power of ten, which repeated multiplication has not quite hit.
func percentLabel(v float64) string {
	return fmt.Sprintf("%.*f %%", max(0, -int(math.Round(math.Log10(v)))), v)
}

func bytesLabel(v float64) string { return human.Bytes(int64(v)) }

func every(*repo.Manifest) bool { return true }

// chart places a value of each backup that is shown.
func (d *Data) chart(
	unit float64, value func(*repo.Manifest) float64, label func(float64) string, shown func(*repo.Manifest) bool,
) chart {
	const size = 6 // of a mark
	t := d.spread()
	var values []float64
	for _, m := range d.Backups {
		if m.Status == repo.StatusOK && shown(m) {
			values = append(values, value(m))
		}
	}
	s := newLogScale(values, unit)
	c := chart{Width: chartWidth, Height: chartHeight, Rows: s.ticks(label), Columns: t.ticks()}
	for _, m := range d.Backups {
		if m.Status != repo.StatusOK || !shown(m) {
			continue
		}
		v := value(m)
		c.Marks = append(c.Marks, mark{
			X: t.x(m.StartedAt) - size/2, Y: s.y(v) - size/2, W: size, H: size, Class: sourceClass(m),
			Title: fmt.Sprintf("%s, %s: %s", m.ID, sourceText(m), label(v)),
		})
	}
	return c
}

// sourceText says what kind of backup it is.
func sourceText(m *repo.Manifest) string {
	if m.Type == repo.TypeFull {
		return "full"
	}
	return "incremental by " + m.PageMap.Source
}

// sourceClass is the class of its colour in style.css.
func sourceClass(m *repo.Manifest) string {
	switch {
	case m.Type == repo.TypeFull:
		return "full"
	case m.PageMap.Source == "wal" || m.PageMap.Source == "summaries" || m.PageMap.Source == "cross":
		return "map"
	}
	return "scan"
}
