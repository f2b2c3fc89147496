package matrix

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// cell is one scenario on one major by one source.
type cell struct {
	scenario string
	major    int
	source   string
	standby  bool
}

func (c cell) String() string {
	where := ""
	if c.standby {
		where = " on a standby"
	}
	return fmt.Sprintf("scenario %s on %d by %s%s", c.scenario, c.major, c.source, where)
}

// Table renders the results as Markdown for the majors from oldest to latest. What failed, and what was not played
// though it should have been, is in open. A scenario that several tests play has passed if all have, and a test that
// was run again has ended as it did the last time.
func Table(results []Result, oldest, latest int) (text string, open []string) {
	type play struct {
		cell
		test string
	}
	last, versions := map[play]bool{}, map[int]string{}
	for _, r := range results {
		last[play{cell{r.Scenario, r.Major, r.Source, r.Standby}, r.Test}] = r.Passed
		versions[r.Major] = r.Version
	}
	passed := map[cell]bool{}
	for p, ok := range last {
		before, known := passed[p.cell]
		passed[p.cell] = ok && (before || !known)
	}
	var b strings.Builder
	b.WriteString("| | scenario |")
	for major := oldest; major <= latest; major++ {
		fmt.Fprintf(&b, " %s |", versions[major])
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", latest-oldest+1) + "\n")
	for _, s := range Scenarios() {
		for _, standby := range []bool{false, true}[:1+count(s.Standby)] {
			title := s.Title
			if standby {
				title = "– on a standby"
			}
			fmt.Fprintf(&b, "| %s | %s |", s.ID, title)
			for major := oldest; major <= latest; major++ {
				b.WriteString(" " + marks(s, major, standby, passed, &open) + " |")
			}
			b.WriteString("\n")
		}
	}
	for _, c := range slices.SortedFunc(maps.Keys(passed), func(a, b cell) int {
		return strings.Compare(a.String(), b.String())
	}) {
		if !listed(c) {
			open = append(open, c.String()+" is in no list")
		}
	}
	return b.String(), open
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// marks renders one cell of the table: a letter for each source that passed.
func marks(s Scenario, major int, standby bool, passed map[cell]bool, open *[]string) string {
	expected := s.expects(major)
	if len(expected) == 0 {
		return "–"
	}
	var out strings.Builder
	for _, source := range expected {
		c := cell{s.ID, major, source, standby}
		ok, known := passed[c]
		letter := strings.ToUpper(source[:1])
		if source == None {
			letter = "yes"
		}
		switch {
		case !known:
			*open = append(*open, c.String()+" was not played")
			letter = "?"
		case !ok:
			*open = append(*open, c.String()+" failed")
			letter = "~~" + letter + "~~"
		}
		out.WriteString(letter)
	}
	return out.String()
}

func listed(c cell) bool {
	for _, s := range Scenarios() {
		if s.ID == c.scenario && (!c.standby || s.Standby) && slices.Contains(s.expects(c.major), c.source) {
			return true
		}
	}
	return false
}
