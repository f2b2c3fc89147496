package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// initCluster makes dir a data directory as initdb does, with a system
// identifier of its own. initdb takes most of a second and gives the same
// result every time, so it runs once for every install and kind of cluster; its
// result is kept and copied from then on.
func initCluster(ctx context.Context, install Install, o options, dir string) error {
	template, err := templateFor(ctx, install, o)
	if err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	if _, err := runTool(ctx, nil, "cp", "-a", "--reflink=auto", "-T", template, dir); err != nil {
		return err
	}
	return newSystemIdentifier(dir)
}

// templateFor returns the kept result of initdb, running it if there is none.
// The rename at the end is the commit point; of two that get there at the same
// time the second one discards its own.
func templateFor(ctx context.Context, install Install, o options) (string, error) {
	args := initdbArgs(install, o)
	binary, err := os.Stat(filepath.Join(install.BinDir, "postgres"))
	if err != nil {
		return "", err
	}
	key := fmt.Sprint(install, binary.Size(), binary.ModTime().UnixNano(), args)
	sum := sha256.Sum256([]byte(key))
	cache, err := templateCache()
	if err != nil {
		return "", err
	}
	template := filepath.Join(cache, fmt.Sprintf("%s-%x", install, sum[:6]))
	if _, err := os.Stat(template); err == nil {
		return template, nil
	}
	dir, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := chown(dir); err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	initdb := filepath.Join(install.BinDir, "initdb")
	if _, err := runTool(ctx, nil, initdb, append(args, "-D", data)...); err != nil {
		return "", err
	}
	err = os.Rename(data, template)
	if _, statErr := os.Stat(template); statErr == nil {
		return template, nil
	}
	return template, err
}

// templateCache lies beside the place where tools/postgres/install.sh installs.
func templateCache() (string, error) {
	cache := "/var/cache"
	if os.Geteuid() != 0 {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache")
	}
	dir := filepath.Join(cache, "pgincr/initdb")
	return dir, os.MkdirAll(dir, 0o755)
}

func initdbArgs(install Install, o options) []string {
	args := []string{
		"--username=postgres", "--auth=trust", "--no-locale", "--encoding=UTF8", "--no-sync",
		"--wal-segsize=" + strconv.Itoa(o.walSegment),
	}
	switch {
	case o.checksums:
		args = append(args, "--data-checksums")
	case install.Major >= 18: // where they are on by default
		args = append(args, "--no-data-checksums")
	}
	return args
}

// newSystemIdentifier gives a copied, never started cluster an identity: in
// pg_control (pg_control.h) and in the long page header that begins every WAL
// segment (xlog_internal.h). PostgreSQL has no tool for it.
func newSystemIdentifier(dir string) error {
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	id[7] &= 0x7f // it is shown as a signed number in places
	err := edit(filepath.Join(dir, "global/pg_control"), func(control []byte) error {
		at, err := controlCRCOffset(control)
		if err != nil {
			return err
		}
		copy(control, id[:])
		sum := crc32.Checksum(control[:at], crc32.MakeTable(crc32.Castagnoli))
		binary.NativeEndian.PutUint32(control[at:], sum)
		return nil
	})
	if err != nil {
		return err
	}
	segments, err := os.ReadDir(filepath.Join(dir, "pg_wal"))
	if err != nil {
		return err
	}
	for _, segment := range segments {
		if !regexp.MustCompile(`^[0-9A-F]{24}$`).MatchString(segment.Name()) {
			continue
		}
		if err := writeAt(filepath.Join(dir, "pg_wal", segment.Name()), id[:], 24); err != nil {
			return err
		}
	}
	return nil
}

// controlCRCOffset finds where pg_control keeps its CRC, which differs between
// majors: it is where the CRC of all before it stands.
func controlCRCOffset(control []byte) (int, error) {
	table := crc32.MakeTable(crc32.Castagnoli)
	for at := 200; at+4 <= min(len(control), 512); at += 4 {
		if crc32.Checksum(control[:at], table) == binary.NativeEndian.Uint32(control[at:]) {
			return at, nil
		}
	}
	return 0, fmt.Errorf("pg_control: no CRC found")
}

func edit(path string, change func([]byte) error) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := change(content); err != nil {
		return err
	}
	return writeAt(path, content, 0)
}

// writeAt writes into an existing file, whose owner and mode stay.
func writeAt(path string, content []byte, offset int64) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY, fs.FileMode(0))
	if err != nil {
		return err
	}
	if _, err := file.WriteAt(content, offset); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
