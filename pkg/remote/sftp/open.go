// Package sftp keeps a repository on a host that is reached by SSH.
//
//	sftp://USER@HOST:PORT/PATH?identity=FILE&known-hosts=FILE
//
// The server must be OpenSSH's or have the same extensions: an object is written under a hidden
// name, synced (fsync@openssh.com), and then given its own by a hard link (hardlink@openssh.com), which fails
// where there is one already; its directory is synced after that. The host's key must be a known one.
// Keys of the user come from an agent or from files.
//
// One connection carries all requests and is made anew when it breaks. What was sent over one that broke may be
// lost if the host itself went down; it is then read back before the object gets its name.
//
// Reading order: open.go, auth.go, conn.go, service.go, publish.go, upload.go.
package sftp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/pgincr/pgincr/pkg/remote"
)

// Scheme is that of its URLs.
const Scheme = "sftp"

// Open makes the store that a URL names. Nothing is connected yet. Mistakes in the URL are errors; env
// gives environment variables. ctx ends what is read later.
func Open(ctx context.Context, s string, env func(string) string) (*remote.Store, error) {
	u, err := remote.ParseURL(s)
	if err != nil {
		return nil, err
	}
	home := env("HOME")
	a := auth{
		agent:      env("SSH_AUTH_SOCK"),
		identity:   u.Take("identity"),
		knownHosts: []string{filepath.Join(home, ".ssh", "known_hosts"), "/etc/ssh/ssh_known_hosts"},
		defaults:   filepath.Join(home, ".ssh"),
	}
	if file := u.Take("known-hosts"); file != "" {
		a.knownHosts = []string{file}
	}
	options := u.Options()
	if err := u.Verify(); err != nil {
		return nil, err
	}
	at, err := url.Parse("sftp://" + u.Place)
	if err != nil {
		return nil, fmt.Errorf("repository %s: want sftp://USER@HOST:PORT/PATH", u)
	}
	a.user = cmp.Or(at.User.Username(), env("USER"), env("LOGNAME"))
	if a.user == "" || u.Prefix == "" || at.Hostname() == "" {
		return nil, fmt.Errorf("repository %s: want sftp://USER@HOST:PORT/PATH", u)
	}
	sv := &service{
		url: u.String(), root: "/" + strings.Trim(u.Prefix, "/"),
		link: link{url: u.String(), addr: net.JoinHostPort(at.Hostname(), cmp.Or(at.Port(), "22")), auth: a},
	}
	context.AfterFunc(ctx, sv.link.end)
	return remote.NewStore(ctx, sv, "", options), nil
}

// errNoKeys is what there is without any key.
var errNoKeys = errors.New("no agent (SSH_AUTH_SOCK) has a key, and there is no key file")
