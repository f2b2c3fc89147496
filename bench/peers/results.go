package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// sample is one run of one side of one case.
type sample struct {
	Stage string `json:"stage"`
	Data  string `json:"data"`
	Case  string `json:"case"`
	Side  string `json:"side"`
	Run   int    `json:"run"`

	Wall    float64 `json:"wall"`    // seconds
	CPU     float64 `json:"cpu"`     // seconds, of the whole machine
	Read    int64   `json:"read"`    // bytes, by read calls
	Written int64   `json:"written"` // bytes, by write calls
	Stored  int64   `json:"stored"`  // bytes
	Memory  int64   `json:"memory"`  // bytes, of the largest process

	More map[string]float64 `json:"more,omitempty"` // what only some cases have
}

// results is what has been measured so far.
type results struct {
	path    string
	About   map[string]string `json:"about"`
	Samples []sample          `json:"samples"`
}

func load(path string) (*results, error) {
	r := &results{path: path, About: map[string]string{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, r)
	}
	return r, err
}

// drop forgets what a stage has measured before.
func (r *results) drop(stage, data string) {
	r.Samples = slices.DeleteFunc(r.Samples, func(s sample) bool { return s.Stage == stage && s.Data == data })
}

func (r *results) add(s sample) error {
	r.Samples = append(r.Samples, s)
	say("%s %-9s %-22s %-24s %8.3f s, CPU %7.2f, read %8.1f, written %8.1f, stored %8.1f MB, %4.0f MiB %v",
		s.Stage, s.Data, s.Case, s.Side, s.Wall, s.CPU, mega(s.Read), mega(s.Written), mega(s.Stored), memory(s), s.More)
	return r.save()
}

func (r *results) save() error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(r.path+".tmp", data, 0o644); err != nil {
		return err
	}
	return os.Rename(r.path+".tmp", r.path)
}

func mega(n int64) float64 { return float64(n) / 1e6 }

// of gives the samples of a case, by side, in the order in which the sides first ran.
func (r *results) of(stage, data, name string) (sides []string, runs map[string][]sample) {
	runs = map[string][]sample{}
	for _, s := range r.Samples {
		if s.Stage != stage || s.Data != data || s.Case != name {
			continue
		}
		if runs[s.Side] == nil {
			sides = append(sides, s.Side)
		}
		runs[s.Side] = append(runs[s.Side], s)
	}
	return sides, runs
}

// cases gives the names of the cases of a stage, as they were measured.
func (r *results) cases(stage, data string) (names []string) {
	for _, s := range r.Samples {
		if s.Stage == stage && s.Data == data && !slices.Contains(names, s.Case) {
			names = append(names, s.Case)
		}
	}
	return names
}
