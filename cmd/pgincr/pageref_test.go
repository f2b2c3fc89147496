package main

import (
	"strconv"
	"strings"
	"testing"
)

// Pages are named as pg_waldump, the server's messages and the file system name them.
func TestParsePageRef(t *testing.T) {
	for text, want := range map[string]string{
		"base/5/16384:0":                         "1663/5/16384 0 0",
		"base/5/16384_vm:7":                      "1663/5/16384_vm 7 0",
		"base/5/16384.2:262144":                  "1663/5/16384 262144 2",
		"global/1262:1":                          "1664/0/1262 1 0",
		"pg_tblspc/9/PG_15_202209061/5/16384:12": "9/5/16384 12 0",
		"1663/5/16384:3":                         "1663/5/16384 3 0",
		"1663/5/16384_fsm:3":                     "1663/5/16384_fsm 3 0",
		"1664/0/1262:3":                          "1664/0/1262 3 0",
		"1663/5/16384/main/3":                    "1663/5/16384 3 0",
		"base/5/16384/vm/3":                      "1663/5/16384_vm 3 0",
		"1663/5/16384:4294967294":                "1663/5/16384 4294967294 0",
	} {
		ref, err := parsePageRef(text)
		if got := pageRefText(ref); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", ":", "base/5/16384", "base/5/16384:", "base/5/16384:-1", "base/5/16384:x", "base/5/16384:4294967295",
		"1663/0/16384:1", "1664/5/16384:1", "0/5/16384:1", "1663/5/16384.1:1", "5/16384:1", "PG_VERSION:0",
		"1663/5/16384/vx/3", "1663/5/16384/3", "base/5/t3_16384:0", "/base/5/16384:0",
	} {
		if ref, err := parsePageRef(text); err == nil || !strings.Contains(err.Error(), "want the path") {
			t.Errorf("%s: %s, %v", text, pageRefText(ref), err)
		}
	}
}

func pageRefText(r pageRef) string {
	return strings.Join([]string{r.fork.String(), strconv.Itoa(int(r.block)), strconv.Itoa(int(r.segno))}, " ")
}
