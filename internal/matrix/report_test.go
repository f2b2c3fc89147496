package matrix_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/matrix"
	"github.com/pgincr/pgincr/internal/pgtest"
)

const (
	document = "../../docs/testing.md"
	begin    = "<!-- matrix: begin, made by make matrix -->\n"
	end      = "<!-- matrix: end -->\n"
)

// TestReport puts the results of a run (PGINCR_MATRIX_REPORT, a file) into the document, and fails where one is missing
// or bad. Without results it looks whether the document has a row for each scenario, none of them bad.
func TestReport(t *testing.T) {
	content, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), begin)
	old, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s: no marks of the matrix", document)
	}
	from := os.Getenv("PGINCR_MATRIX_REPORT")
	if from == "" {
		for _, s := range matrix.Scenarios() {
			if !strings.Contains(old, fmt.Sprintf("| %s | %s |", s.ID, s.Title)) {
				t.Errorf("%s: no row for scenario %s: make matrix", document, s.ID)
			}
		}
		if strings.Contains(old, "~~") {
			t.Errorf("%s: something in the matrix has failed", document)
		}
		return
	}
	results, err := matrix.Read(from)
	if err != nil {
		t.Fatal(err)
	}
	table, open := matrix.Table(results, pgtest.Oldest, pgtest.Latest)
	missing := 0
	for _, line := range open {
		if strings.HasSuffix(line, "was not played") {
			missing++
		}
	}
	text := fmt.Sprintf("Played on %s: %d results, %d of them bad; %d cells were not played.\n\n%s\n",
		time.Now().UTC().Format(time.DateOnly), len(results), len(open)-missing, missing, table)
	if err := os.WriteFile(document, []byte(before+begin+"\n"+text+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, line := range open {
		t.Error(line)
	}
}
