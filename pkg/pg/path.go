package pg

import (
	"cmp"
	"strconv"
	"strings"
)

// ParseRelPath recognises the path of a relation segment file, relative to the
// data directory with forward slashes: below base/<db>, global, or
// pg_tblspc/<spc>/PG_<version>/<db>. The grammar of the last element is
// [1-9][0-9]*(_(fsm|vm|init))?(\.[1-9][0-9]*)? with numbers up to 2^32-1
// (common/relpath.c, storage/file/reinit.c). Temporary relations are not
// recognised: no backup holds them.
func ParseRelPath(path string) (RelSegment, bool) {
	dir, name, ok := cutLast(path)
	if !ok {
		return RelSegment{}, false
	}
	var s RelSegment
	if s.Spc, s.DB, ok = parseRelDir(dir); !ok {
		return RelSegment{}, false
	}
	stem, seg, hasSeg := strings.Cut(name, ".")
	if hasSeg {
		n, ok := parseNumber(seg)
		if !ok {
			return RelSegment{}, false
		}
		s.Segno = n
	}
	rel, fork, hasFork := strings.Cut(stem, "_")
	if hasFork {
		switch fork {
		case "fsm":
			s.Fork = FSMFork
		case "vm":
			s.Fork = VMFork
		case "init":
			s.Fork = InitFork
		default:
			return RelSegment{}, false
		}
	}
	n, ok := parseNumber(rel)
	s.Rel = RelFileNumber(n)
	return s, ok
}

// parseRelDir gives the tablespace and database whose relations live in dir.
func parseRelDir(dir string) (spc, db OID, ok bool) {
	if dir == "global" {
		return GlobalTablespace, 0, true
	}
	if d, found := strings.CutPrefix(dir, "base/"); found {
		n, ok := parseNumber(d)
		return DefaultTablespace, OID(n), ok
	}
	d, found := strings.CutPrefix(dir, "pg_tblspc/")
	if !found {
		return 0, 0, false
	}
	parts := strings.Split(d, "/")
	if len(parts) != 3 || !strings.HasPrefix(parts[1], "PG_") {
		return 0, 0, false
	}
	s, ok1 := parseNumber(parts[0])
	n, ok2 := parseNumber(parts[2])
	spc, db = OID(s), OID(n)
	// The two tablespaces that initdb makes have no link.
	return spc, db, ok1 && ok2 && spc != DefaultTablespace && spc != GlobalTablespace
}

// parseNumber reads a positive decimal without leading zero, up to 2^32-1.
func parseNumber(s string) (uint32, bool) {
	if s == "" || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

func cutLast(path string) (dir, name string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// ComparePaths is the order in which every index lists files: element by
// element, a directory right before what it holds, and the segments of a fork
// by number, so that 16384.2 comes before 16384.10.
func ComparePaths(a, b string) int {
	for {
		ea, ra, ma := strings.Cut(a, "/")
		eb, rb, mb := strings.Cut(b, "/")
		if ea != eb {
			return compareNames(ea, eb)
		}
		switch {
		case !ma && !mb:
			return 0
		case !ma:
			return -1
		case !mb:
			return 1
		}
		a, b = ra, rb
	}
}

// compareNames orders two different path elements.
func compareNames(a, b string) int {
	sa, na := splitSegment(a)
	sb, nb := splitSegment(b)
	if c := cmp.Compare(sa, sb); c != 0 {
		return c
	}
	if c := cmp.Compare(na, nb); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}

// splitSegment divides "16384.2" into "16384" and 2; a name that does not end
// in a segment number is all stem.
func splitSegment(name string) (stem string, segno uint32) {
	i := strings.LastIndexByte(name, '.')
	if i <= 0 {
		return name, 0
	}
	n, ok := parseNumber(name[i+1:])
	if !ok {
		return name, 0
	}
	return name[:i], n
}
