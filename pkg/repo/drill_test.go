package repo_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// Drills are kept, in clear and encrypted, also those of the same second, and given newest first.
func TestDrills(t *testing.T) {
	for name, options := range map[string][]repo.Option{
		"clear":     nil,
		"encrypted": {repo.WithEncryption(repo.Encryption{Passphrase: goldenPassphrase})},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			st := storetest.NewMemory()
			c, _, err := repo.Init(ctx, st, goldenInfo(), options...)
			must(t, err)
			if found, err := c.Drills(ctx, 0); err != nil || len(found) != 0 {
				t.Errorf("%v, %v", found, err)
			}
			first, second, third := goldenDrill(), goldenDrill(), goldenDrill()
			second.Result, second.Reached = repo.DrillFailed, nil
			second.Error = "é" + strings.Repeat("x\xff", 3000)
			third.StartedAt = third.StartedAt.Add(-time.Hour)
			for _, d := range []*repo.Drill{&first, &second, &third} {
				must(t, c.PutDrill(ctx, d))
			}
			if first.ID != "20261125T030000Z" || second.ID != "20261125T030001Z" || third.ID != "20261125T020000Z" {
				t.Errorf("%s, %s, %s", first.ID, second.ID, third.ID)
			}
			if len(second.Error) > 2010 || !strings.HasSuffix(second.Error, "…") {
				t.Errorf("error of %d bytes", len(second.Error))
			}
			found, err := c.Drills(ctx, 0)
			if d := cmp.Diff([]*repo.Drill{&second, &first, &third}, found); d != "" || err != nil {
				t.Error(d, err)
			}
			found, err = c.Drills(ctx, 1)
			if d := cmp.Diff([]*repo.Drill{&second}, found); d != "" || err != nil {
				t.Error(d, err)
			}
			object := "main/drills/" + third.ID + ".json"
			damaged := st.Bytes(object)
			damaged[20] ^= 1
			st.Damage(object, damaged)
			found, err = c.Drills(ctx, 0) // and keeps nobody from reading the others
			must(t, err)
			last, begun := found[2], third.StartedAt.Truncate(time.Second)
			if last.ID != third.ID || !last.StartedAt.Equal(begun) || last.Result != repo.DrillBroken ||
				!strings.Contains(last.Error, object) {
				t.Errorf("damaged: %+v", last)
			}
			if d := cmp.Diff([]*repo.Drill{&second, &first}, found[:2]); d != "" {
				t.Error(d)
			}
			if last.Backup = first.Backup; c.PutDrill(ctx, last) == nil {
				t.Error("a broken one was stored")
			}
		})
	}
}

// What is no result of a drill is not stored.
func TestDrillRefused(t *testing.T) {
	c, _, err := repo.Init(t.Context(), storetest.NewMemory(), goldenInfo())
	must(t, err)
	for name, spoil := range map[string]func(*repo.Drill){
		"backup":  func(d *repo.Drill) { d.Backup = "latest" },
		"result":  func(d *repo.Drill) { d.Result = "good" },
		"reached": func(d *repo.Drill) { d.Reached = nil },
	} {
		d := goldenDrill()
		if spoil(&d); c.PutDrill(t.Context(), &d) == nil {
			t.Errorf("%s: stored", name)
		}
	}
}
