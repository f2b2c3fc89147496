package check

import (
	"testing"

	"github.com/pgincr/pgincr/pkg/restore"
)

// A loss is told, what expire left between backups is not, and what recovery of the newest cannot pass is critical.
func TestGaps(t *testing.T) {
	lost := restore.Gap{Timeline: 1, First: "000000010000000000000003", Last: "000000010000000000000004", Segments: 2}
	expired := lost
	expired.Expired = true
	whole, cut := restore.Window{To: 0x5000000}, restore.Window{To: 0x3000000, Missing: lost.First}
	for _, tt := range []struct {
		name    string
		windows []restore.Window
		gaps    []restore.Gap
		want    Status
	}{
		{"nothing", nil, nil, OK},
		{"no gap", []restore.Window{whole}, nil, OK},
		{"expired", []restore.Window{cut, whole}, []restore.Gap{expired}, OK},
		{"lost before the newest window", []restore.Window{cut, whole}, []restore.Gap{expired, lost}, Warning},
		{"lost behind the newest backup", []restore.Window{whole, cut}, []restore.Gap{lost}, Critical},
	} {
		if f := gapsFinding("wal-gaps", tt.windows, tt.gaps); f.Status != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, f.Status, tt.want)
		}
	}
}
