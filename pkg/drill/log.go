package drill

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// consistentMessage is what the server says when a backup has become consistent (CheckRecoveryConsistency).
const consistentMessage = "consistent recovery state reached at "

// maxLogLine bounds what is looked at of a line of the server's log.
const maxLogLine = 4096

// consistentAt finds when the backup became consistent; ok is false where the log does not tell.
func (s *scratch) consistentAt() (at time.Time, ok bool, err error) {
	err = s.eachLogLine(func(line string) {
		stamp, text, _ := strings.Cut(line, " ")
		if ok || !strings.Contains(text, consistentMessage) {
			return
		}
		if seconds, err := strconv.ParseFloat(stamp, 64); err == nil { // %n
			at, ok = time.UnixMilli(int64(seconds*1000)), true
		}
	})
	return at, ok, err
}

// eachLogLine gives the lines of the server's log, cut at maxLogLine bytes.
func (s *scratch) eachLogLine(see func(line string)) error {
	f, err := os.Open(s.path(logName))
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(f, maxLogLine)
	whole := true // the line begins here
	for {
		b, more, err := r.ReadLine()
		if errors.Is(err, io.EOF) {
			return f.Close()
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if whole {
			see(string(b))
		}
		whole = !more
	}
}

// tailLines is how much of the log explains a failure.
const tailLines = 6

// logTail gives the end of the log, from its first fatal message on where there is one, as one line.
func (s *scratch) logTail() string {
	var last []string
	fatal := false
	err := s.eachLogLine(func(line string) {
		stamp, text, _ := strings.Cut(line, " ")
		if _, err := strconv.ParseFloat(stamp, 64); err != nil {
			text = line // of a command that fetches WAL
		}
		text = strings.TrimSpace(text)
		isFatal := strings.HasPrefix(text, "FATAL:") || strings.HasPrefix(text, "PANIC:")
		switch {
		case text == "" || fatal && len(last) == tailLines:
			return
		case isFatal && !fatal:
			fatal, last = true, last[max(0, len(last)-2):] // what came before is often the reason
		case !fatal && len(last) == tailLines:
			last = last[1:]
		}
		last = append(last, text)
	})
	if err != nil {
		return err.Error()
	}
	return strings.Join(last, " / ")
}
