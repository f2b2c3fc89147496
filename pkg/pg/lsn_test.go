package pg

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// ParseLSN takes what pg_lsn_in takes, and nothing else.
func TestParseLSN(t *testing.T) {
	for _, c := range []struct {
		in   string
		want LSN
		ok   bool
	}{
		{"0/0", 0, true},
		{"16/B374D848", 0x16_B374D848, true},
		{"16/b374d848", 0x16_B374D848, true},
		{"FFFFFFFF/FFFFFFFF", 0xFFFFFFFF_FFFFFFFF, true},
		{"0/01000028", 0x1000028, true}, // as 19 prints it
		{"0/1FFFFFFFF", 0, false},       // nine digits
		{"123456789/0", 0, false},
		{"", 0, false},
		{"/", 0, false},
		{"1/", 0, false},
		{"/1", 0, false},
		{"1/2/3", 0, false},
		{"0/1zz", 0, false},
		{" 0/1", 0, false},
		{"0/+1", 0, false},
		{"0x1/1", 0, false},
		{"0/1_0", 0, false},
	} {
		got, err := ParseLSN(c.in)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("ParseLSN(%q): %v, %v; want %v", c.in, got, err, c.want)
		}
	}
}

// String and ParseLSN are inverses, in JSON too.
func TestLSNInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := LSN(rapid.Uint64().Draw(t, "lsn"))
		if got, err := ParseLSN(want.String()); got != want || err != nil {
			t.Fatalf("%s: %v, %v", want, got, err)
		}
		var got LSN
		if b, err := json.Marshal(want); err != nil {
			t.Fatal(err)
		} else if err := json.Unmarshal(b, &got); err != nil || got != want {
			t.Fatalf("%s: %v, %v", b, got, err)
		}
	})
	var l LSN
	if err := json.Unmarshal([]byte(`"x"`), &l); err == nil {
		t.Error(`"x" is an LSN`)
	}
}

func FuzzParseLSN(f *testing.F) {
	for _, s := range []string{"0/0", "16/B374D848", "0/1FFFFFFFF", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLSN(s)
		if err != nil {
			return
		}
		if again, err := ParseLSN(l.String()); again != l || err != nil {
			t.Errorf("%q is %s, which is %s, %v", s, l, again, err)
		}
	})
}
