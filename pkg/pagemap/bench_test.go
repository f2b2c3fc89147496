package pagemap

import (
	"math/rand/v2"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
)

func randomMap(seed uint64, forks, blocks int) *Map {
	rnd := rand.New(rand.NewPCG(seed, 1))
	m := New()
	for range blocks {
		m.AddBlock(relFork(1663, 5, rnd.IntN(forks), pg.MainFork), pg.BlockNumber(rnd.IntN(1<<20)))
	}
	return m
}

func BenchmarkAddSequential(b *testing.B) {
	m, blk := New(), pg.BlockNumber(0)
	for b.Loop() {
		m.AddBlock(relFork(1663, 5, 16384, pg.MainFork), blk)
		blk++
	}
}

func BenchmarkAddRandom(b *testing.B) {
	for _, c := range []struct {
		name   string
		forks  int
		blocks pg.BlockNumber
	}{{"1fork_8GB", 1, 1 << 20}, {"20forks_8GB", 20, 1 << 20}, {"1fork_1TB", 1, 1 << 27}} {
		b.Run(c.name, func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(1, 1))
			m := New()
			for b.Loop() {
				r := rnd.Uint64()
				m.AddBlock(relFork(1663, 5, int(r>>40)%c.forks, pg.MainFork), pg.BlockNumber(r)%c.blocks)
			}
		})
	}
}

// BenchmarkMerge merges maps as of one WAL segment each.
func BenchmarkMerge(b *testing.B) {
	var parts []*Map
	blocks := 0
	for seed := range uint64(50) {
		parts = append(parts, randomMap(seed, 20, 3000))
		for _, c := range parts[seed].All() {
			blocks += c.Blocks.Len()
		}
	}
	for b.Loop() {
		merged(parts...)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*blocks), "ns/block")
}

func BenchmarkRuns(b *testing.B) {
	c := randomMap(1, 1, 100000).Changes(relFork(1663, 5, 0, pg.MainFork))
	runs := 0
	for b.Loop() {
		for range c.Runs(0, 1<<20) {
			runs++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(runs), "ns/run")
}

func BenchmarkDecode(b *testing.B) {
	enc := encoded(b, randomMap(1, 20, 3000))
	b.SetBytes(int64(len(enc)))
	b.ReportMetric(float64(len(enc))/3000, "bytes/block")
	for b.Loop() {
		if _, err := Decode(enc); err != nil {
			b.Fatal(err)
		}
	}
}
