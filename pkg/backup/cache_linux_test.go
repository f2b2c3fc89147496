package backup

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/internal/pagecache"
	"github.com/pgincr/pgincr/pkg/repo"
)

func TestPageCacheKept(t *testing.T) {
	// What the server had in the page cache is there after the backup, and nothing else is.
	const blocks = 16
	open := func(c *copyTest, path string, cold bool) *os.File {
		write(t, c.root, path, bytes.Repeat(testPage(1, 'a', 0), blocks))
		f, err := os.OpenFile(filepath.Join(c.root, path), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if cold { // whole files: the kernel keeps and drops large pieces as one
			pagecache.Drop(f, []pagecache.Span{{Off: 0, Len: blocks * 8192}})
		}
		return f
	}
	missing := func(f *os.File) []pagecache.Span { return pagecache.Missing(f, 0, blocks*8192, nil) }
	for name, build := range map[string]func(*copyTest){
		"full": func(*copyTest) {},
		"map": func(c *copyTest) {
			c.build(fixedSource{work: 8}, parentFile("base/5/1", repo.KindRelation, blocks))
		},
		"verify all": func(c *copyTest) {
			c.verifyAll = true
			c.build(fixedSource{work: 8}, parentFile("base/5/1", repo.KindRelation, blocks))
		},
		"rate limit": func(c *copyTest) { c.limit = pace.New(1<<40, newSite(t).o.Clock) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCopyTest(t)
			c.checksums = c.verifyAll
			files := []*os.File{
				open(c, "base/5/1", true), open(c, "plain", true),
				open(c, "base/5/2", false), open(c, "plain2", false),
			}
			var before [][]pagecache.Span
			for _, f := range files {
				before = append(before, missing(f))
			}
			if len(before[0]) == 0 {
				t.Skip("this file system keeps pages in memory")
			}
			build(c)
			c.mustRun(t)
			for i, f := range files {
				if after := missing(f); !slices.Equal(after, before[i]) {
					t.Errorf("%s: missing %v, before %v", f.Name(), after, before[i])
				}
			}
		})
	}
}
