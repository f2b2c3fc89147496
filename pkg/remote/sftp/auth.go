package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/pgincr/pgincr/pkg/remote"
)

// auth is how both sides prove who they are.
type auth struct {
	user       string
	agent      string // socket; "": none
	identity   string // key file; "": those in defaults
	defaults   string // directory
	knownHosts []string
}

// signers gives the user's keys. done ends their use.
func (a *auth) signers(ctx context.Context) (keys []ssh.Signer, done func(), err error) {
	done = func() {}
	if a.agent != "" && a.identity == "" {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", a.agent)
		if err == nil {
			done = func() { _ = conn.Close() } // only read from
			if keys, err = agent.NewClient(conn).Signers(); err != nil {
				keys = nil // an agent that does not answer is as good as none
			}
		}
	}
	files := []string{a.identity}
	if a.identity == "" {
		files = nil
		for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
			files = append(files, filepath.Join(a.defaults, name))
		}
	}
	var unusable error
	for _, file := range files {
		key, err := readKey(file)
		switch {
		case err == nil:
			keys = append(keys, key)
		case a.identity == "" && errors.Is(err, fs.ErrNotExist):
		default:
			unusable = errors.Join(unusable, err)
		}
	}
	if len(keys) == 0 {
		if unusable == nil {
			unusable = errNoKeys
		}
		return nil, done, unusable
	}
	return keys, done, nil
}

// readKey reads a private key.
func readKey(file string) (ssh.Signer, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return nil, fmt.Errorf("%s: has a passphrase: give it to an agent", file)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: not a private key", file)
	}
	return key, nil
}

// hostKeys gives what verifies the key of the host at addr, and the algorithms of its known keys: a host
// has several, and only one that is known is worth asking for.
func (a *auth) hostKeys(addr string) (ssh.HostKeyCallback, []string, error) {
	var files []string
	for _, file := range a.knownHosts {
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, nil, fmt.Errorf("no known_hosts at %v", a.knownHosts)
	}
	check, err := knownhosts.New(files...)
	if err != nil {
		return nil, nil, err
	}
	tcp, _ := net.ResolveTCPAddr("tcp", "127.0.0.1:22") // only its form counts: names are looked up, not addresses
	var known *knownhosts.KeyError
	if err := check(addr, tcp, noHostKey{}); !errors.As(err, &known) || len(known.Want) == 0 {
		return nil, nil, fmt.Errorf("no key of %s is in %v", addr, files)
	}
	var algorithms []string
	for _, k := range known.Want {
		if k.Key.Type() == ssh.KeyAlgoRSA {
			algorithms = append(algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		} else {
			algorithms = append(algorithms, k.Key.Type())
		}
	}
	slices.Sort(algorithms)
	return check, slices.Compact(algorithms), nil
}

// noHostKey is a key that no host has.
type noHostKey struct{}

// Type is none that exists.
func (noHostKey) Type() string { return "none" }

// Marshal gives no bytes.
func (noHostKey) Marshal() []byte { return []byte("none") }

// Verify refuses.
func (noHostKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

// config is that of a connection to addr. done must be called when it is made.
func (a *auth) config(ctx context.Context, url, addr string) (c *ssh.ClientConfig, done func(), err error) {
	keys, done, err := a.signers(ctx)
	if err != nil {
		return nil, done, &remote.Error{Repo: url, Cause: remote.NoCredentials, Err: err}
	}
	check, algorithms, err := a.hostKeys(addr)
	if err != nil {
		return nil, done, &remote.Error{Repo: url, Cause: remote.Untrusted, Err: err}
	}
	return &ssh.ClientConfig{
		User: a.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(keys...)},
		HostKeyCallback: check, HostKeyAlgorithms: algorithms, ClientVersion: "SSH-2.0-pgincr",
	}, done, nil
}
