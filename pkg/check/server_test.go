package check

import (
	"strconv"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/server"
)

// A host whose clock goes otherwise than the server's is told of, in either direction; what a query takes is no
// difference.
func TestClock(t *testing.T) {
	cl := pgtest.Newest(t).New(t)
	s, err := server.Connect(t.Context(), server.Config{Host: cl.SocketDir, Port: strconv.Itoa(cl.Port), User: "postgres"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	for fast, want := range map[time.Duration]Status{0: OK, time.Minute: Warning, -time.Minute: Warning} {
		f := clock(t.Context(), s, Options{Clock: func() time.Time { return time.Now().Add(fast) }})
		words := "the server's is this host's"
		if want == Warning {
			words = "the server's differs by " + map[bool]string{true: "-", false: ""}[fast > 0]
		}
		verdict(t, fast.String(), f, want, words)
	}
}

// What the server is set up to do is judged where it says so.
func TestServerSettings(t *testing.T) {
	for name, tt := range map[string]struct {
		f     Finding
		want  Status
		words string
	}{
		"torn pages":  {fullPageWrites(server.Info{}), Warning, "a crash can tear pages"},
		"whole pages": {fullPageWrites(server.Info{FullPageWrites: true}), OK, "on"},
		"checksums":   {hintBits(server.Info{DataChecksums: true}), OK, "pages are verified"},
		"hints only":  {hintBits(server.Info{WALLogHints: true}), OK, "damaged pages are not noticed"},
		"neither":     {hintBits(server.Info{}), OK, "pg_rewind does not work"},
		"elsewhere":   {walSpace(t.Context(), server.Info{DataDirectory: t.TempDir()}), Skipped, "cannot be read from here"},
		"no command":  {archiveCommand(server.Info{ArchiveMode: "on"}, Options{}), Critical, "empty"},
	} {
		verdict(t, name, tt.f, tt.want, tt.words)
	}
}
