package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/history"
	"github.com/pgincr/pgincr/internal/pgtest"
)

// oneOfEach are the seeds that are played when nothing else is asked for: one
// for each major version.
const oneOfEach = 6

// Whatever happens to a cluster, in whatever order, each of its backups gives
// back what it held: the same files with the same bytes but for hints, and to a
// server the same contents. Histories are random; docs/testing.md has the
// variables that choose them.
func TestHistories(t *testing.T) {
	installs := map[int]pgtest.Install{}
	for _, install := range pgtest.Versions(t) {
		installs[install.Major] = install
	}
	plan := newHistoryPlan(t)
	t.Run("play", func(t *testing.T) {
		for i := range historyPlayers(t) {
			t.Run("player"+strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				for seed, ok := plan.next(); ok; seed, ok = plan.next() {
					install, ok := installs[majorOf(seed)]
					if !ok {
						continue
					}
					early := false
					passed := t.Run(fmt.Sprintf("%s-seed%d", install, seed), func(t *testing.T) {
						defer func() { early = t.Skipped() }()
						playHistory(t, install, seed)
					})
					plan.played(seed, passed, early)
				}
			})
		}
	})
	t.Log(plan)
}

// historyPlayers is how many histories are played at a time.
func historyPlayers(t *testing.T) int {
	t.Helper()
	v := os.Getenv("PGINCR_HISTORY_PLAYERS")
	if v == "" {
		return min(2, runtime.GOMAXPROCS(0))
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("PGINCR_HISTORY_PLAYERS is %q", v)
	}
	return n
}

// majorOf gives the version that a seed is played on: each seed has its own, so
// that a number says it all.
func majorOf(seed uint64) int {
	return pgtest.Oldest + int(seed%(pgtest.Latest-pgtest.Oldest+1))
}

// historyPlan hands out seeds.
type historyPlan struct {
	mu       sync.Mutex // guards what follows
	seed     uint64     // the next one
	last     uint64
	deadline time.Time // zero: none
	good     int
	bad      []uint64
	early    []uint64 // ended by a fault of the server
}

// newHistoryPlan reads what is asked for: seeds (7, or 7-20), or minutes.
func newHistoryPlan(t *testing.T) *historyPlan {
	t.Helper()
	seeds, minutes := os.Getenv("PGINCR_HISTORY_SEED"), os.Getenv("PGINCR_HISTORY_MINUTES")
	p := &historyPlan{seed: 1, last: oneOfEach}
	if minutes != "" {
		n, err := strconv.ParseFloat(minutes, 64)
		if err != nil {
			t.Fatalf("PGINCR_HISTORY_MINUTES: %v", err)
		}
		p.deadline = time.Now().Add(time.Duration(n * float64(time.Minute)))
		p.seed, p.last = uint64(rand.Uint32()), 1<<63
	}
	if seeds != "" {
		first, last, isRange := strings.Cut(seeds, "-")
		if !isRange {
			last = first
		}
		var err error
		if p.seed, err = strconv.ParseUint(first, 10, 64); err != nil {
			t.Fatalf("PGINCR_HISTORY_SEED: %v", err)
		}
		if p.last, err = strconv.ParseUint(last, 10, 64); err != nil {
			t.Fatalf("PGINCR_HISTORY_SEED: %v", err)
		}
		if minutes != "" && !isRange {
			p.last = 1 << 63
		}
	}
	t.Logf("histories from seed %d on", p.seed)
	return p
}

func (p *historyPlan) next() (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seed > p.last || !p.deadline.IsZero() && time.Now().After(p.deadline) {
		return 0, false
	}
	p.seed++
	return p.seed - 1, true
}

func (p *historyPlan) played(seed uint64, passed, early bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case early:
		p.early = append(p.early, seed)
	case passed:
		p.good++
	default:
		p.bad = append(p.bad, seed)
	}
}

// String tells how it went.
func (p *historyPlan) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%d histories without a divergence, %d with one %v, %d ended early %v; the next seed is %d",
		p.good, len(p.bad), p.bad, len(p.early), p.early, p.seed)
}

// playHistory carries out one history.
func playHistory(t *testing.T, install pgtest.Install, seed uint64) {
	g := history.New(seed, install.Major)
	p := &player{
		test: t, g: g, install: install, rng: rand.New(rand.NewPCG(seed, 0)),
		sessions: map[string]*pgtest.Session{}, tally: &tally{},
	}
	p.note("PGINCR_HISTORY_SEED=%d on %s: %s", seed, install, g.Cluster())
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(strings.Join(p.log, "\n"))
		}
	})
	opts := []pgtest.Option{
		pgtest.Checksums(g.Cluster().Checksums), pgtest.WALSegmentSize(g.Cluster().WALSegment),
	}
	for name, value := range g.Cluster().Settings {
		opts = append(opts, pgtest.Setting(name, value))
	}
	p.site = newSite(t, install, opts...)
	for {
		step := g.Next()
		if step.Kind == history.End {
			break
		}
		p.play(step)
	}
	p.atTheEnd()
	t.Logf("%d steps; %s", len(p.log)-1, p.tally)
}
