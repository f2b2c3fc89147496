package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
)

// keepAlive is how often a sign of life is asked for; a connection that gives none for a minute is given up.
const keepAlive = 15 * time.Second

// link is the connection to the host, made when it is needed.
type link struct {
	url, addr string
	auth      auth

	mu     sync.Mutex
	conn   *conn // nil: none; guarded by mu
	number int   // of connections made; guarded by mu
}

// conn is one connection.
type conn struct {
	*sftp.Client
	ssh    *ssh.Client
	number int
	ended  chan struct{} // closed by end
	once   sync.Once
}

// end closes it; what is under way fails.
func (c *conn) end() {
	c.once.Do(func() {
		close(c.ended)
		_ = c.ssh.Close() // it is of no more use, whatever closing says
	})
}

// get gives the connection.
func (l *link) get(ctx context.Context) (*conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		select {
		case <-l.conn.ended:
		default:
			return l.conn, nil
		}
	}
	c, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	l.number++
	c.number = l.number
	l.conn = c
	return c, nil
}

// end closes the connection, if there is one.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.conn.end()
	}
}

// dial connects.
func (l *link) dial(ctx context.Context) (*conn, error) {
	config, done, err := l.auth.config(ctx, l.url, l.addr)
	defer done()
	if err != nil {
		return nil, err
	}
	raw, err := remote.Dial(ctx, "tcp", l.addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	sc, channels, requests, err := ssh.NewClientConn(raw, l.addr, config)
	if err != nil {
		return nil, errors.Join(l.handshakeError(err), quiet(raw))
	}
	c := &conn{ssh: ssh.NewClient(sc, channels, requests), ended: make(chan struct{})}
	c.Client, err = sftp.NewClient(c.ssh, sftp.UseConcurrentWrites(true))
	if err != nil {
		c.end()
		return nil, fmt.Errorf("sftp: %w", err)
	}
	for _, need := range []string{"fsync@openssh.com", "hardlink@openssh.com"} {
		if _, ok := c.HasExtension(need); !ok {
			c.end()
			return nil, &remote.Error{Repo: l.url, Cause: remote.Unfit, Err: fmt.Errorf("the server lacks %s", need)}
		}
	}
	go c.keepAlive()
	return c, nil
}

// quiet closes what is of no more use.
func quiet(c net.Conn) error {
	_ = c.Close()
	return nil
}

// handshakeError tells who does not believe whom.
func (l *link) handshakeError(err error) error {
	var key *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	switch {
	case errors.As(err, &key), errors.As(err, &revoked), strings.Contains(err.Error(), "no common algorithm for host key"):
		return &remote.Error{Repo: l.url, Cause: remote.Untrusted, Err: err}
	case strings.Contains(err.Error(), "unable to authenticate"):
		return &remote.Error{Repo: l.url, Cause: remote.Credentials, Err: err}
	}
	return err
}

// keepAlive asks for signs of life until the connection ends.
func (c *conn) keepAlive() {
	t := time.NewTicker(keepAlive)
	defer t.Stop()
	for {
		select {
		case <-c.ended:
			return
		case <-t.C:
			if _, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil); err != nil {
				c.end()
				return
			}
		}
	}
}

// do carries out a request. One that is not answered before ctx ends takes the connection with it.
func (l *link) do(ctx context.Context, request func(c *conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := l.get(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.end)
	defer stop()
	return l.wrap(c, request(c))
}

// wrap makes of what the server says what a remote.Store decides on. What is not the server's
// answer ends the connection.
func (l *link) wrap(c *conn, err error) error {
	var known *remote.Error
	var status *sftp.StatusError
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, repo.ErrNotFound), errors.Is(err, repo.ErrExists),
		errors.Is(err, remote.ErrChanged):
		return err
	case errors.Is(err, fs.ErrPermission):
		return &remote.Error{Repo: l.url, Cause: remote.Denied, Err: err}
	case errors.As(err, &status) && status.FxCode() != sftp.ErrSSHFxConnectionLost &&
		status.FxCode() != sftp.ErrSSHFxNoConnection:
		return &remote.Error{Repo: l.url, Cause: remote.Refused, Err: err}
	}
	c.end()
	return err
}
