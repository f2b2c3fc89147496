package backup

import (
	"fmt"
	"log/slog"
)

// warnings collects what a manifest tells of things that were left out or went another way, and logs
// each at once. One goroutine at a time.
type warnings struct {
	log  *slog.Logger
	list []string
	more int
}

func (w *warnings) add(format string, args ...any) {
	if len(w.list) >= maxListed {
		w.more++
		return
	}
	text := fmt.Sprintf(format, args...)
	w.log.Warn(text)
	w.list = append(w.list, text)
}

// all gives the list as it goes into the manifest, never nil.
func (w *warnings) all() []string {
	out := append([]string{}, w.list...)
	if w.more > 0 {
		out = append(out, fmt.Sprintf("%d more warnings", w.more))
	}
	return out
}
