package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/extract"
	"github.com/pgincr/pgincr/pkg/repo"
)

// shownPage is what show --page --json prints.
type shownPage struct {
	ID         string `json:"id"`
	Path       string `json:"path"`
	Relation   string `json:"relation"`
	Block      uint32 `json:"block"`
	Backup     string `json:"backup"`
	Pack       string `json:"pack,omitempty"`
	Offset     int64  `json:"offset,omitempty"`
	LSN        string `json:"lsn"`
	Checksum   string `json:"checksum"`
	Stored     uint16 `json:"stored_checksum"`
	Computed   uint16 `json:"computed_checksum"`
	Zero       bool   `json:"zero"`
	New        bool   `json:"new"`
	AllVisible bool   `json:"all_visible"`
	PageHash   string `json:"page_hash"`
	Data       string `json:"data"` // hexadecimal
}

// showPage prints one page of a backup. A wrong checksum is a finding.
func (c *showCommand) showPage(ctx context.Context, p *program, cluster *repo.Cluster, m *repo.Manifest) error {
	ref, err := parsePageRef(c.Page)
	if err == nil && ref.segno != 0 && uint32(ref.block)/m.Geometry.RelSegBlocks != ref.segno {
		err = fmt.Errorf("%s: segment %d does not have block %d of the fork", c.Page, ref.segno, ref.block)
	}
	if err != nil {
		return &usageError{err: fmt.Errorf("--page: %w", err), command: "pgincr show"}
	}
	var page *extract.Page
	err = withChain(ctx, cluster, m, func(ch *repo.Chain) error {
		page, err = extract.ReadPage(ctx, ch, ref.fork, ref.block)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		d := shownPage{
			ID: m.ID, Path: page.Path, Relation: page.Fork.String(), Block: uint32(page.Block), Backup: page.Backup,
			LSN: page.Data.LSN().String(), Checksum: page.Checksum, Stored: page.Data.StoredChecksum(),
			Computed: page.Computed, Zero: page.Data.IsZero(), New: page.Data.IsNew(),
			AllVisible: page.Data.AllVisible(), PageHash: fmt.Sprintf("%016x", page.Hash),
			Data: hex.EncodeToString(page.Data),
		}
		if page.Pack != 0 {
			d.Pack, d.Offset = fmt.Sprintf("%06d.pack", page.Pack), page.Offset
		}
		err = p.printJSON(d)
	} else {
		err = p.printPage(page)
	}
	if err == nil && page.Checksum == extract.ChecksumWrong {
		err = findings("%s block %d: the checksum is wrong", page.Path, page.Block)
	}
	return err
}

// printPage prints where a page is from, what its header says, and its bytes.
func (p *program) printPage(page *extract.Page) error {
	where := "zeros, which are stored nowhere"
	if page.Pack != 0 {
		where = fmt.Sprintf("%06d.pack, frame at %d", page.Pack, page.Offset)
	}
	checksum := map[string]string{
		extract.ChecksumOff:  "off in this cluster",
		extract.ChecksumNone: "none, the page was never initialised",
		extract.ChecksumOK:   fmt.Sprintf("%04x, right", page.Computed),
		extract.ChecksumWrong: fmt.Sprintf("WRONG: %04x is stored, %04x would be right", page.Data.StoredChecksum(),
			page.Computed),
	}[page.Checksum]
	err := p.printTable([]string{
		fmt.Sprintf("page\t%s, block %d of %s", page.Path, page.Block, page.Fork),
		"from\tbackup " + page.Backup,
		"stored\t" + where,
		"LSN\t" + page.Data.LSN().String(),
		"checksum\t" + checksum,
		fmt.Sprintf("all visible\t%v", page.Data.AllVisible()),
		fmt.Sprintf("page hash\t%016x", page.Hash),
	})
	if err != nil || page.Data.IsZero() {
		return err
	}
	return p.printf("\n%s", squeezed(hex.Dump(page.Data)))
}

// squeezed puts an asterisk in the place of lines that repeat the one before, as hexdump does.
func squeezed(dump string) string {
	var out strings.Builder
	last, starred := "", false
	for line := range strings.Lines(dump) {
		_, content, _ := strings.Cut(line, " ")
		if content == last {
			if !starred {
				out.WriteString("*\n")
			}
			starred = true
			continue
		}
		last, starred = content, false
		out.WriteString(line)
	}
	return out.String()
}

// extractedFile is what show --extract --json prints.
type extractedFile struct {
	ID        string   `json:"id"`
	Path      string   `json:"path"`
	Output    string   `json:"output"`
	SizeBytes int64    `json:"size_bytes"`
	BytesRead int64    `json:"bytes_read"`
	Backups   []string `json:"backups"`
}

// extract writes one file of a backup.
func (c *showCommand) extract(ctx context.Context, p *program, cluster *repo.Cluster, m *repo.Manifest) error {
	var f *extract.File
	err := withChain(ctx, cluster, m, func(ch *repo.Chain) (err error) {
		f, err = extract.WriteFile(ctx, ch, c.Extract, c.Output)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return p.printJSON(extractedFile{m.ID, f.Path, c.Output, f.Size, f.BytesRead, f.Backups})
	}
	if p.common.Quiet {
		return nil
	}
	return p.printf("%s: %s written to %s, %s read from %s\n", f.Path, human.Bytes(f.Size), c.Output,
		human.Bytes(f.BytesRead), strings.Join(f.Backups, ", "))
}

// withChain opens the chain of m for f.
func withChain(ctx context.Context, cluster *repo.Cluster, m *repo.Manifest, f func(*repo.Chain) error) (err error) {
	ch, err := cluster.OpenChain(ctx, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ch.Close()) }()
	return f(ch)
}
