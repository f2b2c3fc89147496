package main

import (
	"fmt"
	"slices"
)

// spread is a median with its extremes.
type spread struct{ mid, low, high float64 }

func (s spread) String() string { return fmt.Sprintf("%.3g (%.3g–%.3g)", s.mid, s.low, s.high) }

func spreadOf(v []float64) spread {
	if len(v) == 0 {
		return spread{}
	}
	v = slices.Sorted(slices.Values(v))
	mid := v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (v[len(v)/2-1] + v[len(v)/2]) / 2
	}
	return spread{mid, v[0], v[len(v)-1]}
}

// what picks one number of a sample.
type what func(sample) float64

func wall(s sample) float64   { return s.Wall }
func cpu(s sample) float64    { return s.CPU }
func stored(s sample) float64 { return mega(s.Stored) }
func memory(s sample) float64 { return float64(s.Memory) / (1 << 20) }

func more(key string) what { return func(s sample) float64 { return s.More[key] } }

func values(runs []sample, of what) (v []float64) {
	for _, s := range runs {
		v = append(v, of(s))
	}
	return v
}

// ratio divides run by run.
func ratio(a, b []sample, of what) spread {
	var v []float64
	for i := range min(len(a), len(b)) {
		if d := of(b[i]); d != 0 {
			v = append(v, of(a[i])/d)
		}
	}
	return spreadOf(v)
}
