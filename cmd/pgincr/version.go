package main

import (
	"runtime"
	"runtime/debug"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// version is set by the linker for a release.
var version string

// buildVersion gives the release, or what the Go toolchain recorded.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

type versionCommand struct {
	withoutRepository `kong:"-"`
	jsonFlag          `embed:""`
}

// versionDocument is what version --json prints.
type versionDocument struct {
	Version  string            `json:"version"`
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	Servers  []int             `json:"postgresql"` // supported majors
	Formats  map[string]format `json:"formats"`
}

// format names the versions of a stored format that this program reads, and those it writes.
type format struct {
	Read      []int `json:"read"`
	Write     int   `json:"write"`
	Encrypted int   `json:"write_encrypted"` // in encrypted clusters
}

// Run implements the command.
func (c *versionCommand) Run(p *program) error {
	v := versionDocument{
		Version:  buildVersion(),
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Formats: map[string]format{"repository": {
			Read: []int{repo.FormatVersion, repo.EncryptedFormat}, Write: repo.FormatVersion, Encrypted: repo.EncryptedFormat,
		}},
	}
	for major := server.OldestMajor; major <= server.NewestMajor; major++ {
		v.Servers = append(v.Servers, major)
	}
	if c.JSON {
		return p.printJSON(v)
	}
	return p.printf("pgincr %s (%s, %s)\nPostgreSQL %d to %d, repository format %d (encrypted: %d)\n", v.Version, v.Go,
		v.Platform, server.OldestMajor, server.NewestMajor, repo.FormatVersion, repo.EncryptedFormat)
}
