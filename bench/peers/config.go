package main

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// config is what the environment says.
type config struct {
	dir, results      string
	document          string // what render writes; charts are in a directory of that name
	data              []string
	scale, runs, jobs int
	major             string
	chains            []int
	gigabytes, files  []int
	bin               string // of PostgreSQL
	backrest, walg    string // "": not there
	credential        *syscall.Credential
	uid, gid          int
}

func configure() (config, error) {
	cache := filepath.Join(os.Getenv("HOME"), ".cache/pgincr")
	c := config{uid: os.Getuid(), gid: os.Getgid()}
	if c.uid == 0 {
		cache = "/var/cache/pgincr"
		u, err := user.Lookup("postgres") // PostgreSQL does not run as root
		if err != nil {
			return c, err
		}
		c.uid, _ = strconv.Atoi(u.Uid)
		c.gid, _ = strconv.Atoi(u.Gid)
		c.credential = &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.gid)}
	}
	var err error
	if c.dir, err = filepath.Abs(variable("BENCH_DIR", "/var/tmp/pgincr-benchmarks")); err != nil {
		return c, err
	}
	if c.results, err = filepath.Abs(variable("RESULTS", filepath.Join(c.dir, "results.json"))); err != nil {
		return c, err
	}
	c.document = variable("DOCUMENT", "docs/benchmarks.md")
	c.data = strings.Fields(variable("DATA", "pgbench documents"))
	c.major = variable("MAJOR", "17")
	c.bin = filepath.Join(variable("PGINCR_PG_ROOT", filepath.Join(cache, "postgres")), c.major, "bin")
	c.walg = os.Getenv("WALG")
	c.backrest = filepath.Join(variable("PGINCR_PEERS_ROOT", filepath.Join(cache, "peers")), "pgbackrest/bin/pgbackrest")
	if _, err := os.Stat(c.backrest); err != nil {
		c.backrest = ""
	}
	for _, v := range []struct {
		name, unset string
		to          *[]int
	}{
		{"CHAINS", "9 50", &c.chains},
		{"GIGABYTES", "1 4 16", &c.gigabytes},
		{"FILES", "1000 10000 100000", &c.files},
	} {
		if *v.to, err = numbers(v.name, v.unset); err != nil {
			return c, err
		}
	}
	for _, v := range []struct {
		name, unset string
		to          *int
	}{{"SCALE", "100", &c.scale}, {"RUNS", "5", &c.runs}, {"JOBS", "2", &c.jobs}} {
		n, err := numbers(v.name, v.unset)
		if err != nil || len(n) != 1 || n[0] < 1 {
			return c, fmt.Errorf("%s is not a number", v.name)
		}
		*v.to = n[0]
	}
	return c, nil
}

func variable(name, unset string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return unset
}

func numbers(name, unset string) (list []int, err error) {
	for _, s := range strings.Fields(variable(name, unset)) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, n)
	}
	return list, nil
}
