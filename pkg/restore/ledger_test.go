package restore

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

func testLedger(t *testing.T) (*ledger, string) {
	t.Helper()
	f, err := os.Create(t.TempDir() + "/m")
	if err != nil {
		t.Fatal(err)
	}
	return newLedger(f, 17, 1), f.Name()
}

// Files may be finished in any order; backup_manifest lists them in that of the index.
func TestLedgerOrder(t *testing.T) {
	l, name := testLedger(t)
	var g errgroup.Group
	g.SetLimit(8)
	const n = 5000
	for i := range n {
		number, err := l.reserve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		g.Go(func() error {
			for range rand.IntN(50) {
				runtime.Gosched()
			}
			return l.add(number, line{path: strconv.Itoa(i), mtime: time.Unix(0, 0)})
		})
	}
	if err := errors.Join(g.Wait(), l.append(line{path: strconv.Itoa(n)}), l.close(nil)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`"Path": "(\d+)"`).FindAllSubmatch(b, -1)
	if len(found) != n+1 {
		t.Fatalf("%d files listed", len(found))
	}
	for i, m := range found {
		if string(m[1]) != strconv.Itoa(i) {
			t.Fatalf("line %d is of file %s", i, m[1])
		}
	}
}

// The lines that wait for an earlier one are bounded, and waiting ends with the restore.
func TestLedgerWindow(t *testing.T) {
	l, _ := testLedger(t)
	ctx, cancel := context.WithCancel(t.Context())
	for range ledgerWindow {
		if _, err := l.reserve(ctx); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if _, err := l.reserve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := l.abandon(); err != nil {
		t.Error(err)
	}
}
