package main

import (
	"errors"
	"testing"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Recovery can only go forward: the backup chosen was complete before the target, and is the newest such.
func TestChooseBackup(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 23, 8, minute, 0, 0, time.UTC) }
	backups := []*repo.Manifest{
		{ID: "broken", Status: repo.StatusBroken},
		{ID: "a", Status: repo.StatusOK, StopLSN: 0x1000, FinishedAt: at(10).Add(300 * time.Millisecond)},
		{ID: "b", Status: repo.StatusOK, StopLSN: 0x2000, FinishedAt: at(20)},
		{ID: "c", Status: repo.StatusOK, StopLSN: 0x3000, FinishedAt: at(30)},
	}
	for _, tt := range []struct {
		name string
		lsn  string
		time time.Time
		want string // "": an error
	}{
		{"no target", "", time.Time{}, "c"},
		{"time between", "", at(25), "b"},
		{"the second in which it ended", "", at(10), "a"},
		{"time before all", "", at(5), ""},
		{"time after all", "", at(55), "c"},
		{"LSN between", "0/2FFF", time.Time{}, "b"},
		{"its own end", "0/2000", time.Time{}, "b"},
		{"LSN before all", pg.LSN(1).String(), time.Time{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := chooseBackup(backups, tt.lsn, tt.time)
			if (err == nil) != (tt.want != "") || m != nil && m.ID != tt.want {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
	if _, err := chooseBackup(nil, "", time.Time{}); !errors.Is(err, errNoBackup) {
		t.Error(err)
	}
	var usage *usageError
	if _, err := chooseBackup(backups, "x", time.Time{}); !errors.As(err, &usage) {
		t.Error(err)
	}
}
