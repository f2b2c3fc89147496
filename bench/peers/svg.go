package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// A chart is readable on light and dark ground: grey text, colours of middle brightness.
const (
	grey  = "#7a7a7a"
	width = 860.0
)

func palette() []string {
	return []string{"#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22"}
}

type bar struct {
	name string
	spread
}

type group struct {
	name string
	bars []bar
}

// canvas collects the elements of a picture.
type canvas struct{ b strings.Builder }

func (c *canvas) text(x, y float64, anchor, s string) {
	fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n",
		x, y, anchor, grey, html.EscapeString(s))
}

func (c *canvas) rule(x1, y1, x2, y2 float64, colour string, w float64) {
	fmt.Fprintf(&c.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%g"/>`+"\n",
		x1, y1, x2, y2, colour, w)
}

func (c *canvas) rect(x, y, w, h float64, colour string) {
	fmt.Fprintf(&c.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, w, h, colour)
}

func (c *canvas) end(height float64) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%.0f" viewBox="0 0 %g %.0f" `+
		`font-family="sans-serif" font-size="12">`+"\n%s</svg>\n", width, height, width, height, c.b.String())
}

// barChart draws horizontal bars, the groups below each other with a scale of its own each.
func barChart(groups []group) string {
	c, y := &canvas{}, 20.0
	const left, right, step = 190.0, 90.0, 20.0
	for _, g := range groups {
		c.text(0, y, "start", g.name)
		y += 8
		most := 0.0
		for _, b := range g.bars {
			most = max(most, b.high)
		}
		scale := (width - left - right) / max(most, 1e-9)
		for _, b := range g.bars {
			colour := palette()[1]
			if strings.HasPrefix(b.name, "pgincr") {
				colour = palette()[0]
			} else if strings.HasPrefix(b.name, "c") || strings.HasPrefix(b.name, "zstd") {
				colour = "#b0b0b0"
			}
			c.text(left-8, y+13, "end", b.name)
			c.rect(left, y+3, b.mid*scale, step-7, colour)
			c.rule(left+b.low*scale, y+step/2, left+b.high*scale, y+step/2, grey, 1.5)
			c.text(left+b.high*scale+6, y+13, "start", fmt.Sprintf("%.3g s", b.mid))
			y += step
		}
		y += 26
	}
	return c.end(y)
}

// curveChart draws time on the left and memory on the right.
func curveChart(name string, lines []series) string {
	c := &canvas{}
	all := xs(lines)
	logarithmic := all[len(all)-1] > 500
	for i, of := range []what{wall, memory} {
		panel(c, 60+float64(i)*430, lines, all, of, logarithmic, []string{"seconds", "MiB"}[i], name)
	}
	for i, l := range lines {
		x := 60 + 200*float64(i)
		c.rect(x, 292, 12, 12, palette()[i])
		c.text(x+18, 303, "start", l.name)
	}
	return c.end(316)
}

func panel(c *canvas, left float64, lines []series, all []float64, of what, logarithmic bool, unit, name string) {
	const top, bottom, w = 24.0, 240.0, 340.0
	most := 0.0
	for _, l := range lines {
		for _, p := range l.points {
			most = max(most, spreadOf(values(p, of)).mid)
		}
	}
	most = roundUp(most)
	first, last := all[0], all[len(all)-1]
	px := func(x float64) float64 {
		if logarithmic {
			return left + w*(math.Log(x)-math.Log(first))/max(math.Log(last)-math.Log(first), 1e-9)
		}
		return left + w*x/max(last, 1e-9)
	}
	py := func(v float64) float64 { return bottom - (bottom-top)*v/max(most, 1e-9) }
	for i := range 5 {
		v := most * float64(i) / 4
		c.rule(left, py(v), left+w, py(v), "#c8c8c8", 0.5)
		c.text(left-6, py(v)+4, "end", fmt.Sprintf("%.3g", v))
	}
	c.text(left, top-8, "start", unit)
	c.text(left+w/2, bottom+38, "middle", name)
	for _, x := range all {
		c.text(px(x), bottom+18, "middle", fmt.Sprintf("%.3g", x))
	}
	for i, l := range lines {
		var path []string
		for _, x := range all {
			if p := l.points[x]; len(p) > 0 {
				v := spreadOf(values(p, of)).mid
				path = append(path, fmt.Sprintf("%.1f,%.1f", px(x), py(v)))
				fmt.Fprintf(&c.b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", px(x), py(v), palette()[i])
			}
		}
		fmt.Fprintf(&c.b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n",
			strings.Join(path, " "), palette()[i])
	}
}

// roundUp gives the next number with one digit that four divides well.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	steps := []float64{1, 2, 4, 6, 8, 10}
	i := slices.IndexFunc(steps, func(s float64) bool { return s*unit >= v })
	return steps[max(i, 0)] * unit
}
