package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// taken is the backup of one tool that its next incremental is built on.
type taken struct {
	b     *bench
	where string // directory of the repositories of this stage
	last  map[string]string
	dirs  map[string][]string // of native chains
}

func (b *bench) newTaken(where string) (*taken, error) {
	t := &taken{b: b, where: filepath.Join(b.dir, where), last: map[string]string{}, dirs: map[string][]string{}}
	if err := os.RemoveAll(t.where); err != nil {
		return nil, err
	}
	return t, b.directory(t.where)
}

// directory makes a directory for the cluster's user.
func (b *bench) directory(path string) error {
	return errors.Join(os.MkdirAll(path, 0o700), os.Chown(path, b.cfg.uid, b.cfg.gid))
}

func (t *taken) jobs() string { return strconv.Itoa(t.b.cfg.jobs) }

// report is what `backup --json` says.
type report struct {
	ID      string `json:"id"`
	Stored  int64  `json:"stored_bytes"`
	Read    int64  `json:"bytes_read"`
	Blocks  int64  `json:"blocks_stored"`
	PageMap struct {
		Source string `json:"source"`
	} `json:"page_map"`
}

// ours is a backup by pgincr; chain names the one that it is built on, source where the page map comes from.
func (t *taken) ours(chain, source string, incremental bool) side {
	s := side{name: "pgincr " + source}
	if !incremental {
		s.name = "pgincr"
	}
	s.args = []string{t.b.pgincr(), "backup", "-q", "--json", "-D", t.b.pgdata(), "-c", "fast", "-j", t.jobs()}
	if incremental {
		s.args = append(s.args, "--incremental", "--page-map", source, "--parent", t.last[chain])
	}
	s.after = func(_ context.Context, r *sample, out string) error {
		var rep report
		if err := json.Unmarshal([]byte(out), &rep); err != nil {
			return err
		}
		if incremental && rep.PageMap.Source != source {
			return fmt.Errorf("a backup by %q, not by %q", rep.PageMap.Source, source)
		}
		t.last[chain] = rep.ID
		r.Stored = rep.Stored
		r.More = map[string]float64{"pages stored": float64(rep.Blocks), "MB read of data": mega(rep.Read)}
		return nil
	}
	return s
}

// native is pg_basebackup. The backups of a chain stay.
func (t *taken) native(incremental bool) side {
	dir := filepath.Join(t.where, "native"+strconv.Itoa(len(t.dirs["native"])+1))
	s := side{name: "pg_basebackup", args: []string{t.b.pg("pg_basebackup"), "-D", dir, "-c", "fast"}}
	if incremental {
		s.args = append(s.args, "-i", filepath.Join(t.last["native"], "backup_manifest"))
	}
	s.after = func(_ context.Context, r *sample, _ string) error {
		r.Stored = size(dir)
		t.last["native"] = dir
		t.dirs["native"] = append(t.dirs["native"], dir)
		return nil
	}
	return s
}

// rest is a command of pgBackRest.
func (t *taken) rest(command, pgdata string, options ...string) []string {
	return append([]string{
		t.b.cfg.backrest, command, "--no-config", "--stanza=bench", "--pg1-path=" + pgdata,
		"--repo1-path=" + filepath.Join(t.where, "backrest"), "--lock-path=" + filepath.Join(t.where, "lock"),
		"--log-path=" + t.where, "--log-level-console=error", "--log-level-file=off",
	}, options...)
}

func (t *taken) restBackup(kind string) side {
	s := side{name: "pgBackRest", args: t.rest("backup", t.b.pgdata(), "--type="+kind,
		"--start-fast", "--no-archive-check",
		"--pg1-socket-path="+t.b.dir, "--pg1-port="+port, "--pg1-user=bench", "--repo1-bundle", "--repo1-block",
		"--compress-type=zst", "--process-max="+t.jobs())}
	t.growth(&s, filepath.Join(t.where, "backrest"))
	if kind == "full" {
		s.before = func(ctx context.Context) error {
			if _, err := os.Stat(filepath.Join(t.where, "backrest")); err == nil {
				return nil
			}
			return t.b.do(ctx, t.rest("stanza-create", t.b.pgdata(), "--no-online")...)
		}
	}
	return s
}

// growth makes a side's result what it adds to its repository.
func (t *taken) growth(s *side, repo string) {
	was := size(repo)
	s.after = func(_ context.Context, r *sample, _ string) error {
		r.Stored = size(repo) - was
		return nil
	}
}

func (t *taken) walgBackup(full bool) side {
	s := side{name: "WAL-G", args: []string{"env", t.walgPrefix(), t.b.cfg.walg, "backup-push", t.b.pgdata()}}
	if full {
		s.args = append(s.args, "--full")
	}
	repo := filepath.Join(t.where, "walg")
	t.growth(&s, repo)
	s.before = func(context.Context) error { return t.b.directory(repo) }
	return s
}

func (t *taken) walgPrefix() string { return "WALG_FILE_PREFIX=" + filepath.Join(t.where, "walg") }

func (b *bench) walgEnvironment() []string {
	n := strconv.Itoa(b.cfg.jobs)
	return []string{
		"WALG_COMPRESSION_METHOD=zstd", "WALG_DELTA_MAX_STEPS=1000", "WALG_UPLOAD_CONCURRENCY=" + n,
		"WALG_UPLOAD_DISK_CONCURRENCY=" + n, "WALG_DOWNLOAD_CONCURRENCY=" + n, "WALG_LOG_LEVEL=ERROR",
	}
}

// each is the backups of all tools, of ours by the chains that are named.
func (t *taken) each(incremental bool, chains ...string) (sides []side) {
	for _, source := range chains {
		sides = append(sides, t.ours(source, source, incremental))
	}
	sides = append(sides, t.native(incremental))
	if t.b.cfg.backrest != "" {
		kind := "full"
		if incremental {
			kind = "incr"
		}
		sides = append(sides, t.restBackup(kind))
	}
	if t.b.cfg.walg != "" {
		sides = append(sides, t.walgBackup(!incremental))
	}
	return sides
}

// notMeasured stands for what is not there.
const notMeasured = "not measured"

// describe writes down what is measured, and on what.
func (b *bench) describe(ctx context.Context) error {
	for name, args := range map[string][]string{
		"pgincr":     {"git", "describe", "--always", "--dirty", "--tags"},
		"kernel":     {"uname", "-sr"},
		"postgresql": {b.pg("postgres"), "--version"},
		"go":         {"go", "env", "GOVERSION"},
		"zstd":       {"zstd", "--version"},
		"filesystem": {"stat", "-f", "-c", "%T", b.dir},
		"cpu":        {"sh", "-c", "grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //'"},
		"memory":     {"sh", "-c", "awk '/MemTotal/ { printf \"%.0f GB\", $2 / 1e6 }' /proc/meminfo"},
		"cpus":       {"nproc"},
		"date":       {"date", "-u", "+%F %R UTC"},
		"backrest":   {b.cfg.backrest, "version"},
		"walg":       {b.cfg.walg, "--version"},
	} {
		b.results.About[name] = notMeasured
		if args[0] == "" {
			continue
		}
		cmd := b.command(ctx, args...)
		if args[0] == "git" || args[0] == "go" {
			cmd.Dir, cmd.SysProcAttr, cmd.Env = ".", nil, os.Environ()
		}
		out, err := finish(cmd, runCommand)
		if err != nil {
			return err
		}
		b.results.About[name] = strings.Join(strings.Fields(strings.SplitN(out, "\n", 2)[0]), " ")
	}
	line := fmt.Sprintf("SCALE=%d RUNS=%d JOBS=%d MAJOR=%s go run ./bench/peers run %s",
		b.cfg.scale, b.cfg.runs, b.cfg.jobs, b.cfg.major, b.stage)
	for _, name := range []string{"DATA", "CHAINS", "GIGABYTES", "FILES"} {
		if v := os.Getenv(name); v != "" {
			line = fmt.Sprintf("%s=%q %s", name, v, line)
		}
	}
	if b.cfg.walg != "" {
		line = "WALG=wal-g " + line
	}
	b.results.About["command "+b.stage] = line
	b.results.About["jobs"] = strconv.Itoa(b.cfg.jobs)
	return nil
}
