package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Results of drills and of their checks.
const (
	DrillOK       = "ok"
	DrillFindings = "findings" // it recovered, and a check found something
	DrillFailed   = "failed"
	DrillSkipped  = "skipped" // of a check only
	DrillBroken   = "broken"  // never stored: the document cannot be read
)

// Drill is what came of one rehearsal of a restore. Its JSON is also what `drill --json` prints.
type Drill struct {
	Format           int       `json:"format"`
	ID               string    `json:"id"` // when it began, UTC to the second
	Cluster          string    `json:"cluster"`
	SystemIdentifier uint64    `json:"system_identifier,string"`
	Backup           string    `json:"backup"`
	Chain            []string  `json:"chain"`  // full first
	Target           string    `json:"target"` // for people: "end of WAL"
	Result           string    `json:"result"`
	Error            string    `json:"error,omitempty"` // why it failed
	Host             string    `json:"host"`
	Server           string    `json:"server"` // version that recovered, as the server prints it; "" if it did not start
	StartedAt        time.Time `json:"started_at"`
	FinishedAt       time.Time `json:"finished_at"`
	RecoverySeconds  float64   `json:"recovery_seconds"` // until the server took connections; 0 if it did not
	BytesWritten     int64     `json:"bytes_written"`    // by the restore
	Phases           []Phase   `json:"phases"`           // in the order in which they ended
	Reached          *Reached  `json:"reached,omitempty"`
	Checks           []Verdict `json:"checks"`
	Warnings         []string  `json:"warnings"`
	Version          string    `json:"pgincr_version"`
}

// Phase is one step with its duration.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// Reached is the point at which recovery ended.
type Reached struct {
	LSN      pg.LSN        `json:"lsn"`
	Timeline pg.TimelineID `json:"timeline"`
	// Time is when the last transaction that was replayed ended; nil if none was.
	Time *time.Time `json:"time,omitempty"`
}

// Verdict is what one check said.
type Verdict struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Detail string `json:"detail,omitempty"` // why it was skipped, what it found
}

// Bad says whether somebody must look at it.
func (v Verdict) Bad() bool { return v.Result != DrillOK && v.Result != DrillSkipped }

// Findings tells of the checks that somebody must look at, in one line; "" if there are none.
func (d *Drill) Findings() string {
	var bad []string
	for _, v := range d.Checks {
		if v.Bad() {
			bad = append(bad, v.Name+": "+v.Detail)
		}
	}
	return strings.Join(bad, "; ")
}

// maxDrillText bounds the error and each detail and warning of a drill, in bytes.
const maxDrillText = 2000

// drillWorkers bounds the drills that are read at a time.
const drillWorkers = 8

// PutDrill stores the result of a drill and sets its format and id, from StartedAt: the second, or
// the next one that is free. The commit point is the appearance of the document.
func (c *Cluster) PutDrill(ctx context.Context, d *Drill) error {
	d.Format, d.Cluster, d.SystemIdentifier = FormatVersion, c.Info.Name, c.Info.SystemIdentifier
	d.Chain, d.Phases, d.Checks = orEmpty(d.Chain), orEmpty(d.Phases), orEmpty(d.Checks)
	d.Warnings = orEmpty(d.Warnings)
	d.StartedAt, d.FinishedAt = d.StartedAt.UTC(), d.FinishedAt.UTC()
	d.shorten()
	for at := d.StartedAt; ; at = at.Add(time.Second) {
		d.ID = at.Format(idTime)
		if err := d.verify(); err != nil {
			return fmt.Errorf("drill: %w", err)
		}
		data, err := seal(d)
		if err != nil {
			return fmt.Errorf("drill: %w", err)
		}
		name := c.drillObject(d.ID)
		if data, err = c.vault.conceal(name, data); err != nil {
			return err
		}
		if err = putBytes(ctx, c.st, name, data); !errors.Is(err, ErrExists) {
			return err
		}
	}
}

// shorten keeps texts within bounds, and valid.
func (d *Drill) shorten() {
	short := func(s *string) {
		if *s = strings.ToValidUTF8(*s, "?"); len(*s) > maxDrillText {
			*s = strings.ToValidUTF8((*s)[:maxDrillText], "") + "…"
		}
	}
	d.Warnings, d.Checks = slices.Clone(d.Warnings), slices.Clone(d.Checks)
	short(&d.Error)
	for i := range d.Warnings {
		short(&d.Warnings[i])
	}
	for i := range d.Checks {
		short(&d.Checks[i].Detail)
	}
}

// verify refuses what no drill is. Both sides of the disk use it.
func (d *Drill) verify() error {
	if at, err := time.Parse(idTime, d.ID); err != nil || at.Format(idTime) != d.ID {
		return fmt.Errorf("%q is not the id of a drill", d.ID)
	}
	if _, _, err := ParseID(d.Backup); err != nil {
		return err
	}
	switch d.Result {
	case DrillOK, DrillFindings:
		if d.Reached == nil {
			return fmt.Errorf("drill %s: recovered to nowhere", d.ID)
		}
	case DrillFailed:
	default:
		return fmt.Errorf("drill %s: result %q", d.ID, d.Result)
	}
	return nil
}

// drillObject is where a drill lies.
func (c *Cluster) drillObject(id string) string { return c.prefix + drillsPrefix + id + ".json" }

// Drills gives the newest drills, at most limit (0: all), the newest first. It costs a listing, and a
// small read for each. One whose document is damaged, or of a newer pgincr, is in the list as broken, with
// nothing but its id, its beginning and the error.
func (c *Cluster) Drills(ctx context.Context, limit int) ([]*Drill, error) {
	found, err := c.st.List(ctx, c.prefix+drillsPrefix, false)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, o := range slices.Backward(found) {
		id, ok := strings.CutSuffix(o.Name, ".json")
		if _, err := time.Parse(idTime, id); err != nil || !ok {
			continue
		}
		if ids = append(ids, id); len(ids) == limit {
			break
		}
	}
	drills := make([]*Drill, len(ids))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(drillWorkers)
	for i, id := range ids {
		g.Go(func() error {
			d, err := c.readDrill(gctx, id)
			switch {
			case errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewer):
				d = c.brokenDrill(id, err)
			case errors.Is(err, ErrNotFound):
				return nil // somebody has just deleted it
			case err != nil:
				return err
			}
			drills[i] = d
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(drills, func(d *Drill) bool { return d == nil }), nil
}

// brokenDrill stands in a list for a drill whose document cannot be read.
func (c *Cluster) brokenDrill(id string, cause error) *Drill {
	begun, _ := time.Parse(idTime, id) // the caller has parsed it
	return &Drill{
		Format: FormatVersion, ID: id, Cluster: c.Info.Name, SystemIdentifier: c.Info.SystemIdentifier,
		Result: DrillBroken, Error: cause.Error(), StartedAt: begun,
	}
}

// readDrill reads one drill.
func (c *Cluster) readDrill(ctx context.Context, id string) (*Drill, error) {
	name := c.drillObject(id)
	data, err := readObject(ctx, c.st, name)
	if err == nil {
		data, err = c.vault.reveal(name, data)
	}
	if err != nil {
		return nil, err
	}
	d, err := decodeDrill(data, id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if d.Cluster != c.Info.Name || d.SystemIdentifier != c.Info.SystemIdentifier {
		return nil, fmt.Errorf("%s: %w: it is of cluster %s, system identifier %d",
			name, ErrCorrupt, d.Cluster, d.SystemIdentifier)
	}
	return d, nil
}

// decodeDrill reads and verifies the document of the drill called id.
func decodeDrill(data []byte, id string) (*Drill, error) {
	d := new(Drill)
	if err := unseal(data, d); err != nil {
		return nil, err
	}
	err := d.verify()
	if err == nil && d.ID != id {
		err = fmt.Errorf("it is of drill %q", d.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return d, nil
}
