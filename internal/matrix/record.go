package matrix

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Result is how one scenario ended on one major, by one source.
type Result struct {
	Scenario string `json:"scenario"`
	Major    int    `json:"major"`
	Version  string `json:"version"` // the server's, such as 17.6
	Source   string `json:"source"`
	Standby  bool   `json:"standby,omitempty"`
	Passed   bool   `json:"passed"`
	Test     string `json:"test"`
}

// Append adds results to a file, one JSON object a line. Several tests may do so at a time: a write of less than a
// page at the end of a file is not torn.
func Append(path string, results ...Result) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644) //nolint:gosec // a report to be read
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for _, r := range results {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := file.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// Read reads what Append wrote.
func Read(path string) (all []Result, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		var r Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, n, err)
		}
		all = append(all, r)
	}
	return all, lines.Err()
}
