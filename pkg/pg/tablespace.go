package pg

import (
	"bytes"
	"fmt"
	"strings"
)

// TablespaceLink is one line of a tablespace_map file.
type TablespaceLink struct {
	OID  OID    `json:"oid"`
	Path string `json:"path"` // target of pg_tblspc/<OID>
}

// ParseTablespaceMap reads a tablespace_map, undoing its escapes: a backslash
// before a line break, carriage return or backslash of the path (read_tablespace_map,
// access/xlogrecovery.c). 13 writes a backslash of the path as it is; that is read right too,
// unless one of the characters above follows it.
func ParseTablespaceMap(b []byte) ([]TablespaceLink, error) {
	var links []TablespaceLink
	for len(b) > 0 {
		line, rest := cutMapLine(b)
		b = rest
		if len(line) == 0 {
			continue // the server skips empty lines, and so CR LF is one line break
		}
		oid, path, ok := strings.Cut(string(line), " ")
		n, valid := parseNumber(oid)
		if !ok || !valid || path == "" || strings.ContainsRune(path, 0) {
			return nil, fmt.Errorf("tablespace_map: invalid line %q", line)
		}
		links = append(links, TablespaceLink{OID: OID(n), Path: path})
	}
	return links, nil
}

// cutMapLine takes the first line off b and undoes its escapes.
func cutMapLine(b []byte) (line, rest []byte) {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && i+1 < len(b) && isMapEscaped(b[i+1]):
			i++
			line = append(line, b[i])
		case c == '\n' || c == '\r':
			return line, b[i+1:]
		default:
			line = append(line, c)
		}
	}
	return line, nil
}

func isMapEscaped(c byte) bool { return c == '\n' || c == '\r' || c == '\\' }

// FormatTablespaceMap is the inverse of ParseTablespaceMap, for servers from 14
// on; 13 would read both backslashes of an escaped one.
func FormatTablespaceMap(links []TablespaceLink) []byte {
	var b bytes.Buffer
	for _, l := range links {
		fmt.Fprintf(&b, "%d ", l.OID)
		for i := range len(l.Path) {
			if isMapEscaped(l.Path[i]) {
				b.WriteByte('\\')
			}
			b.WriteByte(l.Path[i])
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}
