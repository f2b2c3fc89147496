package remote_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgincr/pgincr/pkg/remote"
)

// A connection lives as long as bytes go either way, however slowly: what waits for the answer to something
// large that is still being sent does not end it. Then it ends after a minute.
func TestImpatientConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := remote.Impatient(near)
		if err := far.SetDeadline(time.Now().Add(time.Hour)); err != nil { // if the near end gave up
			t.Fatal(err)
		}
		answer := make(chan error, 1)
		go func() { // as net/http and ssh read while they write
			_, err := io.ReadFull(c, make([]byte, 2))
			answer <- err
		}()
		go func() {
			for b := make([]byte, 1); ; {
				if _, err := far.Read(b); err != nil {
					return
				}
				time.Sleep(40 * time.Second)
			}
		}()
		for range 10 {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := far.Write([]byte("1")); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := <-answer; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a dead connection: %v", err)
		}
		if d := time.Since(begin); d != time.Minute {
			t.Errorf("it ended after %v", d)
		}
		if err := errors.Join(c.Close(), far.Close()); err != nil {
			t.Error(err)
		}
	})
}
