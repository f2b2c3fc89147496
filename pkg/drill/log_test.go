package drill

import (
	"os"
	"strings"
	"testing"
	"time"
)

// logged gives a scratch place whose server has said this.
func logged(t *testing.T, text string) *scratch {
	t.Helper()
	s := &scratch{dir: t.TempDir()}
	if err := os.WriteFile(s.path(logName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// The moment of consistency is that of the first message, which a line of any length does not hide.
func TestConsistentAt(t *testing.T) {
	s := logged(t, "1790000000.250 LOG:  starting\n"+strings.Repeat("x ", 3*maxLogLine)+"\n"+
		"pgincr: consistent recovery state reached at nowhere\n"+
		"1790000001.500 LOG:  consistent recovery state reached at 0/2000100\n"+
		"1790000009.500 LOG:  consistent recovery state reached at 0/3000100\n")
	at, ok, err := s.consistentAt()
	if want := time.UnixMilli(1_790_000_001_500); !at.Equal(want) || !ok || err != nil {
		t.Errorf("%v, %v, %v; want %v", at, ok, err, want)
	}
	if _, ok, err := logged(t, "1790000000.250 LOG:  starting").consistentAt(); ok || err != nil {
		t.Errorf("without a message: %v, %v", ok, err)
	}
	if _, _, err := (&scratch{dir: t.TempDir()}).consistentAt(); err == nil {
		t.Error("without a log there is no error")
	}
}

// What explains a failure is the first fatal message with what stands around it, or else the end.
func TestLogTail(t *testing.T) {
	for name, tt := range map[string]struct{ log, want string }{
		"nothing": {"", ""},
		"end": {
			"1.0 LOG:  a\n1.1 LOG:  b\n\n1.2 LOG:  c\n1.3 LOG:  d\n1.4 LOG:  e\n1.5 LOG:  f\n1.6 LOG:  g\n",
			"LOG:  b / LOG:  c / LOG:  d / LOG:  e / LOG:  f / LOG:  g",
		},
		"fatal": {
			"1.0 LOG:  a\n1.1 LOG:  b\npgincr: error: wal/x: stored data is corrupt\n1.2 FATAL:  c\n1.3 LOG:  d\n" +
				"1.4 FATAL:  e\n1.5 LOG:  f\n1.6 LOG:  g\n",
			"LOG:  b / pgincr: error: wal/x: stored data is corrupt / FATAL:  c / LOG:  d / FATAL:  e / LOG:  f",
		},
		"panic at once": {"1.2 PANIC:  c\n", "PANIC:  c"},
	} {
		if got := logged(t, tt.log).logTail(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// Of what programs say the beginning is kept, of psql's the first error.
func TestErrorLines(t *testing.T) {
	out := " n\n---\n 1\npsql:<stdin>:2: ERROR:  relation \"t\" does not exist\nLINE 1: x\n^\na\nb\nc\nd\n"
	want := "ERROR:  relation \"t\" does not exist / LINE 1: x / ^ / a / b / … 2 more"
	if got := errorLines(out); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
