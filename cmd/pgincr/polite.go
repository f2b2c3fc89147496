package main

import (
	"context"
	"fmt"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/pkg/repo"
)

// politeFlags keep a long command out of the way of others.
type politeFlags struct {
	SendRate   rate   `placeholder:"RATE" help:"Most to write to a repository in a second: kilobytes, or with k, M or G."`
	IOPriority string `name:"io-priority" placeholder:"CLASS" enum:"normal, low, idle" default:"normal" help:"What the disks' scheduler takes this command for, ${enum} (default: ${default})."`
}

// beginPolitely gives way to others from here on. Where it cannot, the command goes on as others do.
func (p *program) beginPolitely(f politeFlags) {
	p.sendRate = f.SendRate
	if f.IOPriority == "normal" {
		return
	}
	if err := setIOPriority(f.IOPriority); err != nil {
		p.log.Warn(fmt.Sprintf("the I/O priority stays as it is: %v", err))
	}
}

// openURLPolitely opens a repository that is sent to no faster than wanted.
func (p *program) openURLPolitely(ctx context.Context, url string) (repo.Store, error) {
	st, err := openURL(ctx, url)
	if err == nil && p.sendRate > 0 {
		st = &repo.Paced{Store: st, Limit: pace.New(int64(p.sendRate), p.clock)}
	}
	return st, err
}
