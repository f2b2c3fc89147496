package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

// maxLines is the length at which a file is to be split: where an invariant changes hands.
const maxLines = 500

// No file is longer than one can keep in mind.
func TestFilesAreShort(t *testing.T) {
	for _, f := range files(t, ".go", ".sh") {
		if n := len(f.lines()); n > maxLines {
			t.Errorf("%s: %d lines: split it where an invariant changes hands", f.path, n)
		}
	}
}

// What is to be done is done, or is a decision or an issue: no marks are left in the text, and no
// declared function without a body.
func TestNothingIsLeftOver(t *testing.T) {
	marks := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b|panic\("st` + `ub"\)`)
	for _, f := range files(t, ".go", ".md", ".sh", ".yml", ".yaml", "Makefile") {
		for i, line := range f.lines() {
			if m := marks.FindString(line); m != "" {
				t.Errorf("%s:%d: %s: do it, or delete it", f.path, i+1, m)
			}
		}
	}
}

// Every package says in one place what it is: a comment above its package clause.
func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string][]string{} // directory: files with a package comment
	for _, f := range files(t, ".go") {
		dir := path.Dir(f.path)
		if _, ok := documented[dir]; !ok {
			documented[dir] = nil
		}
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.path, f.content, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Doc != nil {
			documented[dir] = append(documented[dir], f.path)
			want := "Package " + parsed.Name.Name + " "
			if parsed.Name.Name == "main" {
				want = "Command " + path.Base(dir) + " "
			}
			if !strings.HasPrefix(parsed.Doc.Text(), want) {
				t.Errorf("%s: the package comment does not begin with %q", f.path, want)
			}
		}
	}
	for dir, where := range documented {
		if len(where) != 1 {
			t.Errorf("%s: %d package comments %v, want one", dir, len(where), where)
		}
	}
}

// names gives what the packages of the module declare: "pagemap.Map", "pagemap.Map.Merge",
// "repo.File.Frames", and the packages themselves.
func names(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, f := range files(t, ".go") {
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.path, f.content, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		pkg := parsed.Name.Name
		out[pkg] = true
		for _, decl := range parsed.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				out[pkg+"."+receiver(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					addSpec(out, pkg, spec)
				}
			}
		}
	}
	return out
}

// receiver gives "Map." for a method of Map or *Map, and nothing for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}

func addSpec(out map[string]bool, pkg string, spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			out[pkg+"."+name.Name] = true
		}
	case *ast.TypeSpec:
		out[pkg+"."+s.Name.Name] = true
		var members *ast.FieldList
		switch typ := s.Type.(type) {
		case *ast.StructType:
			members = typ.Fields
		case *ast.InterfaceType:
			members = typ.Methods
		default:
			return
		}
		for _, m := range members.List {
			for _, name := range m.Names {
				out[pkg+"."+s.Name.Name+"."+name.Name] = true
			}
		}
	}
}
