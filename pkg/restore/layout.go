package restore

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgincr/pgincr/pkg/pg"
)

// layout says where the parts of the restored cluster lie. All directories are absolute.
type layout struct {
	target string
	wal    string            // "": in the data directory
	spaces map[pg.OID]string // tablespaces that are links
}

// newLayout puts every tablespace of links to its place: where the options move it,
// or where it was.
// In place, what no option moves stays where it is.
func newLayout(o *Options, links []pg.TablespaceLink, e *existing) (*layout, error) {
	target, err := filepath.Abs(o.Target)
	if err != nil {
		return nil, err
	}
	l := &layout{target: target, spaces: map[pg.OID]string{}}
	if o.WALDir != "" {
		l.wal = filepath.Clean(o.WALDir)
	} else if e != nil {
		l.wal = e.wal
	}
	moves := map[string]string{}
	for from, to := range o.TablespaceMap {
		moves[filepath.Clean(from)] = to
	}
	used := map[string]bool{}
	for _, link := range links {
		from := filepath.Clean(link.Path)
		to, moved := moves[from]
		switch {
		case moved:
			used[from] = true
		case o.TablespaceRoot != "":
			to = filepath.Join(o.TablespaceRoot, fmt.Sprint(link.OID))
		case e != nil && e.spaces[link.OID] != "":
			to = e.spaces[link.OID]
		default:
			to = from
		}
		l.spaces[link.OID] = filepath.Clean(to)
	}
	for from := range moves {
		if !used[from] {
			return nil, &TargetError{Dir: from, Problem: UnknownSpace}
		}
	}
	return l, l.verify()
}

// verify refuses directories that lie in each other: what is written to one
// would be found in the other, and be removed with it.
func (l *layout) verify() error {
	places := l.places()
	resolved := make([]string, len(places))
	for i, a := range places {
		if !filepath.IsAbs(a.dir) {
			return &TargetError{Dir: a.dir, Problem: NotAbsolute}
		}
		resolved[i] = withoutLinks(a.dir)
		for j, b := range places[:i] {
			if inside(resolved[i], resolved[j]) || inside(resolved[j], resolved[i]) {
				return &TargetError{Dir: a.dir, Problem: Overlaps, Detail: b.dir}
			}
		}
	}
	return nil
}

// withoutLinks resolves the links in as much of an absolute path as exists.
func withoutLinks(p string) string {
	if resolved, err := filepath.EvalSymlinks(p); err == nil {
		return resolved
	}
	if p == filepath.Dir(p) {
		return p
	}
	return filepath.Join(withoutLinks(filepath.Dir(p)), filepath.Base(p))
}

// places lists the directories, the data directory first.
func (l *layout) places() []place {
	places := []place{{path: "", dir: l.target}}
	if l.wal != "" {
		places = append(places, place{path: walDirName, dir: l.wal})
	}
	oids := make([]pg.OID, 0, len(l.spaces))
	for oid := range l.spaces {
		oids = append(oids, oid)
	}
	slices.Sort(oids)
	for _, oid := range oids {
		places = append(places, place{path: spacePath(oid), dir: l.spaces[oid]})
	}
	return places
}

// placeOf gives the path of the place that a file of the index lies in.
func (l *layout) placeOf(p string) string {
	if rest, ok := strings.CutPrefix(p, tblspcDirName+"/"); ok {
		name, _, _ := strings.Cut(rest, "/")
		if oid, ok := linkOID(tblspcDirName + "/" + name); ok && l.spaces[oid] != "" {
			return spacePath(oid)
		}
	}
	if l.wal != "" && within(p, walDirName) {
		return walDirName
	}
	return ""
}

func spacePath(oid pg.OID) string { return fmt.Sprintf("%s/%d", tblspcDirName, oid) }

// inside says whether clean path a is directory b or lies in it.
func inside(a, b string) bool {
	return a == b || strings.HasPrefix(a, strings.TrimSuffix(b, "/")+"/")
}
