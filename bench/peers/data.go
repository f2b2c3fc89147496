package main

import (
	"context"
	"fmt"
	"strconv"
)

// fill makes the tables of the data set.
func (b *bench) fill(ctx context.Context) error {
	if b.data == "pgbench" {
		// With room in the pages an update stays in its page: what changes is what is said to change.
		err := b.do(ctx, b.pg("pgbench"), "-i", "-q", "-F", "90", "-s", strconv.Itoa(b.cfg.scale))
		if err != nil {
			return err
		}
		_, err = b.sql(ctx, "VACUUM FREEZE")
		return err
	}
	// 5 indexes of which one is on something random and one is GIN, and texts that are compressed or moved out.
	_, err := b.sql(ctx, fmt.Sprintf(`
CREATE TABLE documents (id int, who int, at timestamptz, key uuid, tags int[], title text, body text)
  WITH (fillfactor = 90);
ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
INSERT INTO documents SELECT i, i %% 1000, timestamptz '2026-01-01' + i * interval '1 minute', md5(i::text)::uuid,
  ARRAY[i %% 97, i %% 89, i %% 83], 'document ' || md5(i::text),
  (SELECT string_agg(md5((i * 100 + j)::text), ' ') FROM generate_series(1, i %% 50 + 50) j)
  FROM generate_series(1, %d) i;
CREATE UNIQUE INDEX ON documents (id);
CREATE INDEX ON documents (who, at);
CREATE INDEX ON documents (key);
CREATE INDEX ON documents (title text_pattern_ops);
CREATE INDEX ON documents USING gin (tags)`, b.documents()))
	if err != nil {
		return err
	}
	_, err = b.sql(ctx, "VACUUM FREEZE")
	return err
}

func (b *bench) documents() int { return 2000 * b.cfg.scale }

// change is a case of an incremental backup.
type change struct {
	name  string
	share float64 // of the pages of the large table, or
	rows  int     // so many rows
}

func changes() []change {
	return []change{{"nothing changed", 0, 0}, {"100 rows", 0, 100}, {"1 % of pages", 0.01, 0}, {"5 % of pages", 0.05, 0}}
}

// apply changes rows at random places.
func (b *bench) apply(ctx context.Context, c change) error {
	if c.rows == 0 && c.share == 0 {
		return b.settle(ctx)
	}
	table, id, rows := "pgbench_accounts", "aid", 100_000*b.cfg.scale
	set := "abalance = abalance + 1"
	if b.data != "pgbench" {
		table, id, rows = "documents", "id", b.documents()
		set = "key = gen_random_uuid(), body = body || ' changed'" // new entries in all indexes, a new text
	}
	n := strconv.Itoa(c.rows)
	if c.share > 0 {
		// Some pages are hit twice: so many more have to be chosen.
		n = fmt.Sprintf("(-ln(1 - %g) * pg_relation_size('%s') / 8192)::int", c.share, table)
	}
	_, err := b.sql(ctx, fmt.Sprintf(`UPDATE %s SET %s
		WHERE %s IN (SELECT (random() * %d)::int FROM generate_series(1, %s))`, table, set, id, rows, n))
	if err != nil {
		return err
	}
	return b.settle(ctx)
}
