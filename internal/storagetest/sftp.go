package storagetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// SFTP is a running OpenSSH server with keys of its own.
type SFTP struct {
	Addr       string // host:port
	User       string
	Identity   string // the user's key file, which the clusters' user can read
	KnownHosts string
}

// NewSFTP starts one, as the user that runs the test.
func NewSFTP(t testing.TB) *SFTP {
	t.Helper()
	program, err := exec.LookPath("sshd")
	if err != nil {
		if program = "/usr/sbin/sshd"; !isProgram(program) {
			Missing(t, "sshd", "apt-get install openssh-server")
		}
	}
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where sshd shuts its helper in
			t.Fatal(err)
		}
	}
	dir := pgtest.TempDir(t)
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hostKey, hostPublic := newKey(t)
	userKey, userPublic := newKey(t)
	s := &SFTP{Addr: freePort(t), User: u.Username}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("ListenAddress %s\nPort %s\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nUsePAM no\n"+
		"StrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\nMaxStartups 100\n",
		host, port, file("host", hostKey), file("authorized", string(ssh.MarshalAuthorizedKey(userPublic))))
	s.Identity = file("id", userKey)
	s.KnownHosts = file("known_hosts", knownhosts.Line([]string{s.Addr}, hostPublic)+"\n")
	pgtest.Chown(t, s.Identity)
	pgtest.Chown(t, s.KnownHosts)
	start(t, s.Addr, nil, program, "-D", "-e", "-f", file("config", config))
	return s
}

// newKey makes a key pair.
func newKey(t testing.TB) (private string, public ssh.PublicKey) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "test")
	if err != nil {
		t.Fatal(err)
	}
	if public, err = ssh.NewPublicKey(pub); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), public
}

// URL gives a repository in a directory of this machine.
func (s *SFTP) URL(dir string) string {
	return fmt.Sprintf("sftp://%s@%s%s?identity=%s&known-hosts=%s", s.User, s.Addr, dir, s.Identity, s.KnownHosts)
}
