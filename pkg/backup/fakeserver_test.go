package backup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/server"
)

const (
	testStart = pg.LSN(0x500028)
	testStop  = pg.LSN(0x5F0100)
)

var errPlanted = errors.New("planted fault")

// fakeServer is a Session on a fabricated data directory.
type fakeServer struct {
	info        server.Info
	start, stop pg.LSN
	timeline    pg.TimelineID
	archived    string
	config      []server.ConfigFile
	readable    map[string]string // files by path that SQL gives

	// hook is called at the beginning of each method with its name; its error is the method's.
	hook    func(method string) error
	running bool // backup mode
	aborted int
}

// newFakeServer makes a server of root, with the WAL from start to stop in its pg_wal.
func newFakeServer(t testing.TB, root string) *fakeServer {
	t.Helper()
	control, err := pg.ParseControl(testControl(t, testStart))
	if err != nil {
		t.Fatal(err)
	}
	started := time.Unix(1_700_000_000, 0)
	s := &fakeServer{
		info: server.Info{
			Version: 170012, SystemIdentifier: control.SystemIdentifier, Port: 5432,
			PostmasterStart: started.Add(100 * time.Millisecond), DataDirectory: root,
		},
		start: testStart, stop: testStop, timeline: 1,
	}
	write(t, root, "postmaster.pid",
		fmt.Appendf(nil, "123\n%s\n%d\n5432\n/tmp\n*\n", root, started.Unix()))
	for seg := testGeometry.SegmentOf(testStart); seg <= testGeometry.SegmentOf(testStop); seg++ {
		writeSegment(t, root, 1, seg)
	}
	return s
}

// writeSegment makes a WAL segment of which only the first page header is real.
func writeSegment(t testing.TB, root string, tli pg.TimelineID, seg pg.SegNo) {
	t.Helper()
	b := make([]byte, testGeometry.WALSegmentSize)
	binary.LittleEndian.PutUint64(b[8:], uint64(testGeometry.SegmentStart(seg)))
	b[len(b)-1] = 0xFF // an old segment's content, which must not be carried
	write(t, root, "pg_wal/"+testGeometry.WALFileName(tli, seg), b)
}

func (s *fakeServer) Info() server.Info { return s.info }

func (s *fakeServer) call(ctx context.Context, method string) error {
	if s.hook != nil {
		if err := s.hook(method); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *fakeServer) HoldWAL(ctx context.Context) (bool, string) {
	if err := s.call(ctx, "HoldWAL"); err != nil {
		return false, err.Error()
	}
	return true, ""
}

func (s *fakeServer) StartBackup(ctx context.Context, _ string, _ bool) (pg.LSN, error) {
	if err := s.call(ctx, "StartBackup"); err != nil {
		return 0, err
	}
	s.running = true
	return s.start, nil
}

func (s *fakeServer) StopBackup(ctx context.Context) (server.Stopped, []string, error) {
	if err := s.call(ctx, "StopBackup"); err != nil {
		return server.Stopped{}, nil, err
	}
	s.running = false
	label := fmt.Sprintf("START WAL LOCATION: %s (file %s)\nCHECKPOINT LOCATION: %s\n"+
		"BACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-11-23 12:00:00 UTC\n"+
		"LABEL: x\nSTART TIMELINE: %d\n", s.start,
		testGeometry.WALFileName(s.timeline, testGeometry.SegmentOf(s.start)), s.start, s.timeline)
	return server.Stopped{StopLSN: s.stop, Label: []byte(label)}, nil, nil
}

func (s *fakeServer) AbortBackup(context.Context) error {
	s.aborted++
	s.running = false
	return nil
}

func (s *fakeServer) Alive(ctx context.Context) error { return s.call(ctx, "Alive") }

func (s *fakeServer) FlushLSN(ctx context.Context) (pg.LSN, error) {
	return s.stop, s.call(ctx, "FlushLSN")
}

func (s *fakeServer) LastArchived(ctx context.Context) (string, int64, error) {
	return s.archived, 0, s.call(ctx, "LastArchived")
}

func (s *fakeServer) Databases(ctx context.Context) ([]server.Database, error) {
	all := []server.Database{{OID: 1, Name: "template1", Template: true}, {OID: 5, Name: "postgres"}}
	return all, s.call(ctx, "Databases")
}

func (s *fakeServer) ConfigFiles(ctx context.Context) ([]server.ConfigFile, error) {
	return s.config, s.call(ctx, "ConfigFiles")
}

func (s *fakeServer) ReadFile(ctx context.Context, path string, _ int64) ([]byte, error) {
	if b, ok := s.readable[path]; ok {
		return []byte(b), s.call(ctx, "ReadFile")
	}
	return nil, fmt.Errorf("pg_read_binary_file: permission denied")
}

func (s *fakeServer) ExtensionResourceManagers(ctx context.Context) ([]string, error) {
	return nil, s.call(ctx, "ExtensionResourceManagers")
}

func (s *fakeServer) SummarizedLSN(ctx context.Context) (pg.TimelineID, pg.LSN, error) {
	return s.timeline, s.start, s.call(ctx, "SummarizedLSN")
}

// advance moves the server on: the next backup begins at start, and its WAL is there.
func (s *fakeServer) advance(t testing.TB, root string, start, stop pg.LSN) {
	t.Helper()
	s.start, s.stop = start, stop
	if err := os.WriteFile(filepath.Join(root, controlPath), testControl(t, start), 0o600); err != nil {
		t.Fatal(err)
	}
	for seg := testGeometry.SegmentOf(start); seg <= testGeometry.SegmentOf(stop); seg++ {
		writeSegment(t, root, 1, seg)
	}
}
