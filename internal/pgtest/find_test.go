package pgtest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// PGINCR_TEST_PG means what docs/testing.md says, and a slip of the pen is not
// taken for something else.
func TestParseWanted(t *testing.T) {
	all := []int{13, 14, 15, 16, 17, 18}
	for _, test := range []struct {
		in       string
		majors   []int
		demanded bool
		valid    bool
	}{
		{"", all, false, true},
		{"all", all, true, true},
		{"none", nil, true, true},
		{"17", []int{17}, true, true},
		{"17, 13,17", []int{13, 17}, true, true},
		{"12", nil, false, false},
		{"17,", nil, false, false},
		{"pg17", nil, false, false},
	} {
		t.Run(test.in, func(t *testing.T) {
			majors, demanded, err := parseWanted(test.in)
			if (err == nil) != test.valid {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(test.majors, majors); diff != "" || demanded != test.demanded {
				t.Errorf("demanded %v, majors (-want +got):\n%s", demanded, diff)
			}
		})
	}
}
