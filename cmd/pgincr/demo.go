package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

type demoCommand struct {
	withoutRepository `kong:"-"`

	Bindir string `placeholder:"DIR" help:"Directory of PostgreSQL's programs (default: where pg_config, PATH or the system's packages have them)."`
	Scale  int    `placeholder:"N" default:"10" help:"Size of the demonstration's tables, as of pgbench (default: ${default})."`
}

// Help is shown below the summary.
func (*demoCommand) Help() string {
	return "Makes a throwaway cluster under load, backs it up, fully and twice incrementally, restores the chain, " +
		"starts a server on it and compares what both hold. " +
		"Every command is printed before it runs, so that you can repeat it. " +
		"Nothing is left behind. Needs PostgreSQL's server and client programs, and no running server."
}

// Validate is called by kong.
func (c *demoCommand) Validate() error {
	if c.Scale < 1 || c.Scale > 10_000 {
		return errors.New("--scale: want 1 to 10000")
	}
	return nil
}

// Run implements the command.
func (c *demoCommand) Run(ctx context.Context, p *program) (err error) {
	pgBin, err := findPostgres(ctx, postgresWanted{
		bindir: c.Bindir, programs: []string{"postgres", "initdb", "pg_ctl", "psql", "pgbench", "pg_dump"},
	})
	if err != nil {
		return err
	}
	d, err := newDemo(p, pgBin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.cleanup(ctx)) }()
	d.scale = c.Scale
	if err := inOrder(ctx, d.introduce, d.makeCluster, d.backUp, d.restore, d.compare); err != nil {
		return err
	}
	return p.printf("\nThe restored cluster holds exactly what the original holds.\n")
}

// introduce shows how to repeat what follows by hand.
func (d *demo) introduce(context.Context) error {
	text := fmt.Sprintf("pgincr %s with %s\n", buildVersion(), d.postgres.version)
	if d.user != nil {
		text += fmt.Sprintf("PostgreSQL refuses to run as root, so everything below runs as user %s.\n", d.user.Username)
	}
	text += "\n$ cd " + shellQuote(d.dir) + "\n"
	for _, kv := range d.exports() {
		k, v, _ := strings.Cut(kv, "=")
		text += "$ export " + k + "=" + shellQuote(v) + "\n"
	}
	return d.p.printf("%s", text)
}

// makeCluster makes a cluster that archives its WAL, fills it and puts it under load.
func (d *demo) makeCluster(ctx context.Context) error {
	d.headline("a cluster that archives its WAL, under load")
	conf := fmt.Sprintf(`cat >> data/postgresql.conf <<'END'
listen_addresses = ''
unix_socket_directories = '%[1]s'
archive_mode = on
archive_command = 'pgincr archive-push --repo %[1]s/repo %%p'
END`, d.dir)
	return inOrder(ctx,
		d.run("initdb -D data -U postgres -A trust --data-checksums --no-sync > initdb.log"),
		d.run(conf),
		d.startServer("pg_ctl -D data -l data.log -w start > /dev/null", "data"),
		d.run("pgincr init"),
		d.run(fmt.Sprintf("pgbench -i -q -s %d 2> /dev/null", d.scale)),
		d.startLoad("pgbench -n -c 2 -R 300 -T 3600 > load.log 2>&1"),
	)
}

// backUp takes a full backup and two incrementals by different page maps, with changes in between.
func (d *demo) backUp(ctx context.Context) error {
	d.headline("a full backup, and two incrementals of what changed since")
	return inOrder(ctx,
		d.run("pgincr backup -D data --checkpoint fast"),
		d.sql("CREATE TABLE note (id int PRIMARY KEY, text text)"),
		d.sql("INSERT INTO note SELECT i, repeat(md5(i::text), 10) FROM generate_series(1, 20000) i"),
		d.run("pgincr backup -D data --checkpoint fast --incremental --page-map wal"),
		d.sql("DELETE FROM note WHERE id % 3 = 0"),
		d.sql("UPDATE note SET text = upper(text) WHERE id < 5000"),
		d.run("pgincr backup -D data --checkpoint fast --incremental --page-map lsn"),
		d.run("pgincr list"),
		d.run("pgincr verify"),
	)
}

// restore ends the load, lets the archive have the last of it, and restores the chain.
func (d *demo) restore(ctx context.Context) error {
	d.headline("the load ends, and the chain is restored and recovered to the end of the archived WAL")
	archived := `until psql -Atc "SELECT last_archived_wal >= '$last' FROM pg_stat_archiver" | grep -q t; ` +
		`do sleep 0.1; done`
	recovered := `until psql -p 5433 -Atc 'SELECT pg_is_in_recovery()' | grep -q f; do sleep 0.1; done`
	return inOrder(ctx,
		d.stopLoad,
		d.run(`last=$(psql -Atc 'SELECT pg_walfile_name(pg_switch_wal())'); `+archived),
		d.run("pgincr restore -D restored"),
		d.startServer("pg_ctl -D restored -l restored.log -o '-p 5433' -w start > /dev/null", "restored"),
		d.run(recovered),
	)
}

// compare holds the contents of both servers against each other.
func (d *demo) compare(ctx context.Context) error {
	d.headline("the contents of both servers")
	// Newer pg_dumps begin and end with a random key for psql.
	const dump = `pg_dump -p %[1]s -f %[1]s.sql && grep -v '^\\\(un\)\?restrict ' %[1]s.sql | sha256sum`
	const sums = `psql -p %s -Atc "SELECT (SELECT sum(abalance) FROM pgbench_accounts), ` +
		`(SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(tbalance) FROM pgbench_tellers), ` +
		`(SELECT sum(delta) FROM pgbench_history)"`
	for _, line := range []string{dump, sums} {
		original, err := d.output(ctx, fmt.Sprintf(line, "5432"))
		if err != nil {
			return err
		}
		restored, err := d.output(ctx, fmt.Sprintf(line, "5433"))
		if err != nil {
			return err
		}
		if original != restored || original == "" {
			return fmt.Errorf("the restored cluster differs: %q, want %q", restored, original)
		}
		if line == sums {
			return d.verifySums(original)
		}
	}
	return nil
}

// verifySums holds pgbench's promise: every transaction adds the same number to four tables.
func (d *demo) verifySums(row string) error {
	sums := strings.Split(row, "|")
	for _, s := range sums {
		if s != sums[0] {
			return fmt.Errorf("pgbench's sums are not equal: %s", row)
		}
	}
	return nil
}
