package main

import (
	"fmt"
	"slices"
	"strings"
)

// series is one curve: medians by x.
type series struct {
	name   string
	points map[float64][]sample
}

// lines gives the curves of a case.
func (r *results) lines(stage, data, name string) (list []series) {
	sides, runs := r.of(stage, data, name)
	for _, s := range sides {
		l := series{s, map[float64][]sample{}}
		for _, x := range runs[s] {
			l.points[x.More["x"]] = append(l.points[x.More["x"]], x)
		}
		list = append(list, l)
	}
	return list
}

// xs is where any of the curves has a point, in order. Points that are almost at the same place are those of one size.
func xs(lines []series) (list []float64) {
	for _, l := range lines {
		for x := range l.points {
			if !slices.Contains(list, x) {
				list = append(list, x)
			}
		}
	}
	slices.Sort(list)
	return list
}

func header(lines []series) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, " %s, s | MiB |", l.name)
	}
	return b.String()
}

func (l series) cells(x float64) string {
	p := l.points[x]
	if len(p) == 0 {
		return " | |"
	}
	return fmt.Sprintf(" %.3g | %.0f |", spreadOf(values(p, wall)).mid, spreadOf(values(p, memory)).mid)
}
