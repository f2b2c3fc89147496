package backup

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// randomHistory makes a server live through random changes.
type randomHistory struct {
	*rand.Rand
	c    *pgtest.Cluster
	log  []string
	next int      // number of the next table
	live []string // tables
	db   bool     // database d is there
}

func (h *randomHistory) exec(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	h.log = append(h.log, s)
	h.c.Exec(s)
}

func (h *randomHistory) table() string {
	if len(h.live) == 0 {
		h.create()
	}
	return h.live[h.IntN(len(h.live))]
}

func (h *randomHistory) create() {
	h.next++
	name := fmt.Sprintf("r%d", h.next)
	kind := ""
	if h.IntN(6) == 0 {
		kind = "UNLOGGED"
	}
	h.exec(`CREATE %s TABLE %s (a int, b text)`, kind, name)
	h.exec(`CREATE INDEX %s_i ON %s (a)`, name, name)
	h.live = append(h.live, name)
}

// step does one thing.
func (h *randomHistory) step() {
	t := h.table()
	switch h.IntN(20) {
	case 0:
		h.create()
	case 1:
		h.exec(`DROP TABLE %s`, t)
		for i, name := range h.live {
			if name == t {
				h.live = append(h.live[:i], h.live[i+1:]...)
				break
			}
		}
	case 2, 3, 4:
		h.exec(`INSERT INTO %s SELECT g, repeat('x', %d) FROM generate_series(1, %d) g`,
			t, h.IntN(200), 1+h.IntN(3000))
	case 5, 6:
		h.exec(`UPDATE %s SET b = 'u%d' WHERE a %% %d = 0`, t, h.IntN(100), 1+h.IntN(50))
	case 7:
		h.exec(`DELETE FROM %s WHERE a > %d`, t, h.IntN(2000)) // the tail, so that VACUUM truncates
	case 8:
		h.exec(`DELETE FROM %s WHERE a %% %d = 0`, t, 1+h.IntN(9))
	case 9, 10, 11:
		h.exec(`VACUUM %s`, t)
	case 12:
		h.exec(`VACUUM FREEZE %s`, t)
	case 13:
		h.exec(`TRUNCATE %s`, t)
	case 14:
		h.exec([]string{`VACUUM FULL %s`, `REINDEX TABLE %s`, `CLUSTER %s USING ` + t + `_i`}[h.IntN(3)], t)
	case 15:
		h.exec(`ALTER TABLE %s SET %s`, t, []string{"LOGGED", "UNLOGGED"}[h.IntN(2)])
	case 16:
		h.exec(`CHECKPOINT`)
	case 17:
		h.log = append(h.log, "crash")
		h.c.Kill()
		h.c.Start()
	case 18:
		h.log = append(h.log, "restart")
		h.c.Restart()
	case 19:
		h.database()
	}
}

func (h *randomHistory) database() {
	switch {
	case h.db && h.IntN(2) == 0:
		h.exec(`DROP DATABASE d`)
		h.db = false
	case !h.db:
		strategy := ""
		if h.c.Install.Major >= 15 {
			// The same number again, with the pages of the template.
			strategy = "OID 100000 STRATEGY FILE_COPY"
		}
		h.exec(`CREATE DATABASE d %s`, strategy)
		h.db = true
	}
	if h.db {
		h.log = append(h.log, "in d")
		h.c.ExecIn("d", fmt.Sprintf(`CREATE TABLE IF NOT EXISTS x AS SELECT 1 AS a; INSERT INTO x VALUES (%d)`,
			h.IntN(100)))
	}
}

func TestRandomHistories(t *testing.T) {
	// Whatever happened between two backups: a chain gives back what the server held, and the scan by
	// LSN and the page map name every page whose content changed.
	// PGINCR_TEST_SEED repeats one run.
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		for _, checksums := range []bool{true, false} {
			t.Run(fmt.Sprintf("checksums=%v", checksums), func(t *testing.T) {
				seed := uint64(time.Now().UnixNano())
				if s := os.Getenv("PGINCR_TEST_SEED"); s != "" {
					var err error
					if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
						t.Fatal(err)
					}
				}
				t.Logf("PGINCR_TEST_SEED=%d", seed)
				testRandomHistory(t, install, checksums, rand.New(rand.NewPCG(seed, 0)))
			})
		}
	})
}

func testRandomHistory(t *testing.T, install pgtest.Install, checksums bool, r *rand.Rand) {
	c := install.New(t, pgtest.Checksums(checksums), pgtest.Setting("wal_keep_size", "8GB"))
	h := &randomHistory{Rand: r, c: c}
	t.Cleanup(func() {
		if t.Failed() {
			for _, s := range h.log {
				t.Log(s)
			}
		}
	})
	for range 10 {
		h.step()
	}
	w := newWorld(t, c)
	parent := w.full()
	for range 2 {
		for range 5 + h.IntN(10) {
			h.step()
		}
		want := c.TableSums()
		byPage := map[string]*repo.Manifest{}
		for _, pageMap := range []string{MapWAL, MapLSN, MapHash} {
			m, err := w.try(func(o *Options) {
				o.Incremental, o.PageMap, o.Parent = true, pageMap, parent.ID
			})
			if err != nil {
				t.Fatal(err)
			}
			byPage[pageMap] = m
			h.log = append(h.log, "backup "+m.ID+" by "+pageMap)
		}
		if checksums {
			superset(t, w.repo, byPage[MapWAL], byPage[MapHash])
			superset(t, w.repo, byPage[MapLSN], byPage[MapHash])
		}
		// Whichever it is: the next ones are built on it, and it is proved.
		parent = byPage[[]string{MapWAL, MapLSN, MapHash}[h.IntN(3)]]
		w.expect(parent, want)
		if t.Failed() {
			return
		}
	}
}

// superset checks that a has every page that byHash, taken later on the same parent, found to differ
// by content, but for what changed after a began.
func superset(t *testing.T, c *repo.Cluster, a, byHash *repo.Manifest) {
	t.Helper()
	have, want := storedPages(t, c, a), storedPages(t, c, byHash)
	for path, pages := range want {
		for blk, lsn := range pages {
			if _, ok := have[path][blk]; !ok && lsn <= a.StartLSN {
				t.Errorf("%s block %d with LSN %s differs from the parent and is not in the backup by %s",
					path, blk, lsn, a.PageMap.Source)
			}
		}
	}
}

// storedPages gives the LSNs of all main fork pages that a backup itself has.
func storedPages(t *testing.T, c *repo.Cluster, m *repo.Manifest) map[string]map[pg.BlockNumber]pg.LSN {
	t.Helper()
	r, err := c.OpenBackup(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out := map[string]map[pg.BlockNumber]pg.LSN{}
	for f, err := range r.Files(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		s, ok := pg.ParseRelPath(f.Path)
		if !ok || s.Fork != pg.MainFork || f.Kind != repo.KindRelation {
			continue
		}
		pages := map[pg.BlockNumber]pg.LSN{}
		for _, z := range f.Zero {
			for i := range z.Count {
				pages[z.First+i] = 0
			}
		}
		for _, fr := range f.Frames {
			raw, err := r.ReadFrame(t.Context(), fr, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, run := range fr.Runs {
				for i := range run.Count {
					pages[run.First+i] = pg.Page(raw).LSN()
					raw = raw[m.Geometry.BlockSize:]
				}
			}
		}
		out[f.Path] = pages
	}
	return out
}
