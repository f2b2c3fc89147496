package pg

import "testing"

// Sizes that no server can have are refused, the limits of configure and initdb are not.
func TestGeometryVerify(t *testing.T) {
	change := func(f func(*Geometry)) Geometry {
		g := DefaultGeometry()
		f(&g)
		return g
	}
	for name, c := range map[string]struct {
		g  Geometry
		ok bool
	}{
		"default":           {DefaultGeometry(), true},
		"blocks of 1 kB":    {change(func(g *Geometry) { g.BlockSize = 1024 }), true},
		"blocks of 32 kB":   {change(func(g *Geometry) { g.BlockSize = 32768 }), true},
		"blocks of 64 kB":   {change(func(g *Geometry) { g.BlockSize = 65536 }), false},
		"blocks of 512":     {change(func(g *Geometry) { g.BlockSize = 512 }), false},
		"blocks of 8193":    {change(func(g *Geometry) { g.BlockSize = 8193 }), false},
		"no segment size":   {change(func(g *Geometry) { g.RelSegBlocks = 0 }), false},
		"WAL pages of 64kB": {change(func(g *Geometry) { g.WALBlockSize = 65536 }), true},
		"WAL pages of 0":    {change(func(g *Geometry) { g.WALBlockSize = 0 }), false},
		"segments of 1 GB":  {change(func(g *Geometry) { g.WALSegmentSize = 1 << 30 }), true},
		"segments of 2 GB":  {change(func(g *Geometry) { g.WALSegmentSize = 1 << 31 }), false},
		"segments of 3 MB":  {change(func(g *Geometry) { g.WALSegmentSize = 3 << 20 }), false},
	} {
		if err := c.g.Verify(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
