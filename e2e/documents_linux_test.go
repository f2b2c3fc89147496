package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/internal/session"
)

// updateDocuments writes what commands really print into the documents, where that is something else.
var updateDocuments = flag.Bool("update", false, "write what commands print into the documents")

// What documents tell people to type is typed, and prints what they say, on the oldest and the newest major.
// /srv, where all of them have their files, is a directory of the test.
func TestDocuments(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	documents = append(documents, "../README.md", "../docs/quickstart.md", "../docs/migrating.md", "../docs/exit-codes.md")
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		for _, path := range documents {
			t.Run(strings.TrimPrefix(path, "../"), func(t *testing.T) {
				t.Parallel()
				runDocument(t, install, path)
			})
		}
	})
}

// statisticsDelay is how late a server's statistics may come before PostgreSQL 15, and a little.
const statisticsDelay = 600 * time.Millisecond

// reader is somebody who types what a document says.
type reader struct {
	t        *testing.T
	install  pgtest.Install
	root     string          // what /srv is
	shells   map[bool]*shell // by whether it is root's
	bindings session.Bindings
}

// runDocument runs a document, after those that it builds upon.
func runDocument(t *testing.T, install pgtest.Install, path string) {
	var chain []string
	for next := path; next != ""; {
		chain = append(chain, next)
		content := readDocument(t, next)
		before := session.Before(content)
		if before != "" {
			before = filepath.Join(filepath.Dir(next), before)
		}
		if slices.Contains(chain, before) {
			t.Fatalf("%s begins where it ends itself", next)
		}
		next = before
	}
	r := &reader{
		t: t, install: install, root: pgtest.TempDir(t), shells: map[bool]*shell{}, bindings: session.Bindings{},
	}
	t.Cleanup(r.leave)
	for _, one := range slices.Backward(chain) {
		r.read(one, one == path)
	}
}

func readDocument(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// read types the commands of one document. mayUpdate is for the one that the test is about.
func (r *reader) read(path string, mayUpdate bool) {
	content := readDocument(r.t, path)
	commands, err := session.Parse(content)
	if err != nil {
		r.t.Fatalf("%s: %v", path, err)
	}
	var printed []string
	for i, c := range commands {
		if r.install.Major < 15 && strings.HasPrefix(c.Text, "pgincr check") {
			time.Sleep(statisticsDelay)
		}
		output, code := r.shell(c.Root).run(r.hither(r.bindings.Command(c.Text)))
		output = r.thither(output)
		told := i+1 < len(commands) && commands[i+1].Text == "echo $?"
		matches := r.bindings.Match(c.Output, output)
		if matches {
			printed = append(printed, c.Output)
		} else {
			printed = append(printed, r.bindings.Document(output))
		}
		switch {
		case mayUpdate && *updateDocuments:
			r.bindings.Match(printed[i], output)
		case !matches:
			r.t.Fatalf("%s:%d: %s\nprints:\n%s\nwant:\n%s", path, c.Line, c.Text, output, c.Output)
		}
		if code != 0 && !told {
			fail := r.t.Fatalf
			if mayUpdate && *updateDocuments {
				fail = r.t.Errorf
			}
			fail("%s:%d: %s\nexit code %d\n%s", path, c.Line, c.Text, code, output)
		}
	}
	if mayUpdate && *updateDocuments {
		r.rewrite(path, content, commands, printed)
	}
}

// rewrite puts what was printed into the document.
func (r *reader) rewrite(path, content string, commands []session.Command, printed []string) {
	lines := strings.Split(content, "\n")
	for i, c := range slices.Backward(commands) {
		output := strings.Split(printed[i], "\n")
		lines = slices.Replace(lines, c.FirstOut-1, c.EndOut-1, output[:len(output)-1]...)
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// hither and thither lead from the document's paths to the test's, and back.
func (r *reader) hither(text string) string { return strings.ReplaceAll(text, "/srv/", r.root+"/") }

func (r *reader) thither(text string) string { return strings.ReplaceAll(text, r.root+"/", "/srv/") }

// shell gives the terminal of the clusters' user, or of root.
func (r *reader) shell(root bool) *shell {
	if s := r.shells[root]; s != nil {
		return s
	}
	if root {
		needFUSE(r.t)
		r.needOverlay()
	}
	cmd := pgtest.Command(r.t.Context(), "bash")
	if root {
		cmd.SysProcAttr.Credential = nil
	}
	cmd.Dir = r.root
	path := fmt.Sprintf("PATH=%s:%s:%s", filepath.Dir(pgincr), r.install.BinDir, os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, path, "PAGER=cat", "TZ=UTC", "PGTZ=UTC")
	r.shells[root] = newShell(r.t, cmd)
	return r.shells[root]
}

// needOverlay leaves a document out where its user may not mount overlays, or nobody can, as in some containers.
func (r *reader) needOverlay() {
	dir := pgtest.TempDir(r.t)
	for _, name := range []string{"lower", "upper", "work", "all"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			r.t.Fatal(err)
		}
	}
	all := filepath.Join(dir, "all")
	layers := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	if err := syscall.Mount("overlay", all, "overlay", 0, layers); err != nil {
		pgtest.NotTested(r.t, "what only root may do with an overlay: %v", err)
		r.t.SkipNow()
	}
	if err := syscall.Unmount(all, 0); err != nil {
		r.t.Fatal(err)
	}
}

// leave ends what the commands have left running.
func (r *reader) leave() {
	for _, s := range r.shells {
		s.end()
	}
	servers, err := filepath.Glob(r.root + "/*/*/postmaster.pid")
	if err != nil {
		r.t.Error(err)
	}
	ctl, _ := r.install.Tool("pg_ctl")
	for _, pid := range servers {
		stop := pgtest.Command(context.Background(), ctl, "-D", filepath.Dir(pid), "-m", "immediate", "-w", "stop")
		if out, err := stop.CombinedOutput(); err != nil {
			r.t.Errorf("%v: %s", err, out)
		}
	}
}
