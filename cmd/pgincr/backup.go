package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/pkg/backup"
	"github.com/pgincr/pgincr/pkg/repo"
)

type backupCommand struct {
	connectionFlags `embed:"" group:"connection"`
	jsonFlag        `embed:""`
	politeFlags     `embed:""`

	PGData          string        `name:"pgdata" short:"D" required:"" placeholder:"DIR" env:"PGDATA" help:"Data directory of the running cluster."`
	Incremental     bool          `help:"Store only what changed since the parent; full, with the reason, where there is no usable parent."`
	Parent          string        `placeholder:"ID" help:"What an incremental is built on: an id, latest or latest-full (default: latest)."`
	PageMap         string        `placeholder:"SOURCE" enum:"auto, wal, summaries, lsn, hash, cross" default:"auto" help:"Where the changed pages come from: ${enum} (default: ${default})."`
	Checkpoint      string        `short:"c" placeholder:"MODE" enum:"fast, spread" default:"spread" help:"Checkpoint at the start, ${enum} (default: ${default})."`
	Compress        string        `short:"Z" placeholder:"METHOD" default:"zstd" help:"Compression: zstd, zstd:1 to zstd:19, lz4 or none (default: ${default})."`
	Rate            rate          `short:"r" placeholder:"RATE" help:"Most to read from the data directory in a second: kilobytes, or with k, M or G."`
	PackSize        packSize      `placeholder:"SIZE" default:"256M" help:"Size at which a stored pack is full, 1M to 16G; an interrupted backup loses at most one for each job (default: ${default})."`
	Annotate        []assignment  `sep:"none" placeholder:"KEY=VALUE" help:"Remark that is kept with the backup; may be repeated."`
	WAL             string        `name:"wal" placeholder:"MODE" enum:"auto, archive, stream" default:"auto" help:"Where the WAL that the backup needs is kept: in the archive, or carried by the backup itself: ${enum} (default: ${default})."`
	ArchiveTimeout  time.Duration `placeholder:"DURATION" default:"1m" help:"How long to wait until the archive has that WAL (default: ${default})."`
	VerifyChecksums string        `placeholder:"PAGES" enum:"copied, all, off" default:"copied" help:"Pages whose checksums are verified: ${enum} (default: ${default})."`
	NoTrustMtime    bool          `help:"Look into files even where their times say that nothing was written."`
}

// Help is shown below the summary.
func (*backupCommand) Help() string {
	return "The server is in backup mode meanwhile and stays fully usable. The backup exists when it is complete; " +
		"what an interrupted one has stored in full packs is left, and the next backup of its type goes on with it, " +
		"under its id: it reads all files again, and does not store again what is the same. " +
		"Exit code 3 says that it is complete and has corrupt pages."
}

// Validate is called by kong.
func (c *backupCommand) Validate(*kong.Context) error {
	switch {
	case c.Parent != "" && !c.Incremental:
		return errors.New("--parent: needs --incremental")
	case c.ArchiveTimeout < 0:
		return errors.New("--archive-timeout: must not be negative")
	}
	return nil
}

// Run implements the command.
func (c *backupCommand) Run(ctx context.Context, p *program) (err error) {
	p.beginPolitely(c.politeFlags)
	o, err := c.options(p)
	if err != nil {
		return &usageError{err: err, command: "pgincr backup"}
	}
	if len(p.common.Repos) > 1 && named(c.Parent) {
		return &usageError{
			err:  fmt.Errorf("--parent %s: is in one repository, and the backup goes to %d", c.Parent, len(p.common.Repos)),
			hint: "give one --repo at a time, or latest or latest-full, which mean the backups of each",
		}
	}
	if err := verifyOutside(p.common.Repo, c.PGData); err != nil {
		return err
	}
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	if c.Parent != "" {
		if _, err := findBackup(ctx, cluster, c.Parent); err != nil {
			return err
		}
	}
	if err := verifyDataDirectory(c.PGData); err != nil {
		return err
	}
	s, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	if err := p.awaitNewID(ctx); err != nil {
		return err
	}
	stop := p.watch(ctx, o.Progress.Snapshot)
	m, err := backup.Run(ctx, s, cluster, o)
	stop()
	if err != nil {
		return err
	}
	p.began, _, err = repo.ParseID(m.ID)
	return errors.Join(err, c.report(p, m))
}

// awaitNewID waits until a backup that begins has another id than the one that was taken before, in another
// repository: a second at most. Where the clock went back meanwhile it has.
func (p *program) awaitNewID(ctx context.Context) error {
	for {
		wait := p.began.Add(time.Second).Sub(p.clock())
		if wait <= 0 || wait > time.Second {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func (c *backupCommand) options(p *program) (backup.Options, error) {
	z, err := repo.ParseCompression(c.Compress)
	if err != nil {
		return backup.Options{}, err
	}
	annotations, err := assignments(c.Annotate)
	return backup.Options{
		DataDir:         c.PGData,
		Incremental:     c.Incremental,
		Parent:          c.Parent,
		PageMap:         c.PageMap,
		FastCheckpoint:  c.Checkpoint == "fast",
		Jobs:            p.common.jobs(),
		Compression:     z,
		WAL:             c.WAL,
		VerifyChecksums: c.VerifyChecksums,
		NoTrustMtime:    c.NoTrustMtime,
		PackSize:        int64(c.PackSize),
		RateLimit:       int64(c.Rate),
		Annotations:     annotations,
		Version:         buildVersion(),
		ArchiveTimeout:  c.ArchiveTimeout,
		Log:             p.log,
		Progress:        new(backup.Progress),
		Clock:           p.clock,
	}, err
}

// maxCorruptListed bounds what is printed; the manifest has them all.
const maxCorruptListed = 20

// report prints the result. Corrupt pages are findings.
func (c *backupCommand) report(p *program, m *repo.Manifest) error {
	for i, page := range m.CorruptPages {
		if i == maxCorruptListed {
			p.log.Warn("more corrupt pages", "count", len(m.CorruptPages)-i, "see", "pgincr show "+m.ID)
			break
		}
		p.log.Warn("corrupt page", "path", page.Path, "block", page.Block, "cause", page.Cause)
	}
	for i, f := range m.CrossFindings {
		if i == maxCorruptListed {
			break
		}
		p.log.Warn("changed page is not in the page map", "path", f.Path, "block", f.Block, "cause", f.Cause)
	}
	p.note("BACKUP", m.ID)
	p.note("TYPE", m.Type)
	p.note("STORED_BYTES", strconv.FormatInt(m.StoredBytes, 10))
	var err error
	switch {
	case c.JSON:
		err = p.printJSON(m)
	case !p.common.Quiet:
		err = p.printBackup(m)
	}
	if err == nil && len(m.CrossFindings) > 0 {
		err = findings("backup %s: complete; the page map lacked %d pages that the page scan found changed",
			m.ID, len(m.CrossFindings))
	}
	if err == nil && len(m.CorruptPages) > 0 {
		err = findings("backup %s: complete, with %d corrupt pages", m.ID, len(m.CorruptPages))
	}
	return err
}

// printBackup is the summary of a backup that was just taken.
func (p *program) printBackup(m *repo.Manifest) error {
	if err := p.printf("backup %s: %s in %s\n", m.ID, typeText(m),
		durationText(m.FinishedAt.Sub(m.StartedAt))); err != nil {
		return err
	}
	var rows []string
	if m.Type == repo.TypeIncremental {
		rows = append(rows, "  page map\t"+pageMapText(m))
	}
	if m.FullReason != "" {
		rows = append(rows, "  full because\t"+m.FullReason)
	}
	rows = append(rows,
		"  pages\t"+pagesText(m),
		"  size\t"+sizeText(m),
	)
	if m.TakenOver != nil {
		rows = append(rows, "  taken over\t"+takenOverText(m.TakenOver))
	}
	rows = append(rows, "  WAL\t"+walText(m))
	return p.printTable(rows)
}
