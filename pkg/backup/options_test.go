package backup

import (
	"testing"
	"time"
)

func TestOptions(t *testing.T) {
	// What no option can be is refused before anything happens.
	for name, change := range map[string]func(*Options){
		"page map": func(o *Options) { o.PageMap = "x" },
		"WAL":      func(o *Options) { o.WAL = "x" },
		"verify":   func(o *Options) { o.VerifyChecksums = "x" },
		"rate":     func(o *Options) { o.RateLimit = -1 },
		"clock":    func(o *Options) { o.Clock = nil },
	} {
		o := Options{Clock: time.Now}
		change(&o)
		if _, err := o.complete(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	o, err := Options{Clock: time.Now}.complete()
	if err != nil || o.PageMap != MapAuto || o.WAL != walAuto || o.VerifyChecksums != verifyCopied ||
		o.Jobs != 1 || o.Log == nil {
		t.Errorf("%+v, %v", o, err)
	}
}
