package main

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
)

// hedge is how long one of several repositories may take before the next one is asked, too: one that is away
// must not hold up recovery for as long as it is waited for.
const hedge = 2 * time.Second

// located is what one of several repositories says of a WAL file.
type located struct {
	repo    string
	cluster *repo.Cluster // nil: it cannot be opened
	err     error         // nil: it has the file
}

// absent says that the repository certainly lacks the file.
func (l located) absent() bool { return l.cluster != nil && errors.Is(l.err, fs.ErrNotExist) }

// locate looks for a WAL file in repositories. have is the first that says it has it. Without one, all of them lack it,
// or err says why that cannot be told. What is opened reads by ctx (see remote.NewStore), which therefore ends nothing
// here: who is not waited for any longer ends with the command.
func (p *program) locate(
	ctx context.Context, repos []string, name string,
) (have *located, all []*repo.Cluster, err error) {
	answers := make(chan located, len(repos))
	next := time.NewTimer(0)
	defer next.Stop()
	for asked, answered := 0, 0; answered < len(repos); {
		select {
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-next.C:
			if asked == len(repos) {
				continue
			}
			// Not waited for: a mount that hangs does not end even with ctx, but with this process.
			go func(url string) { answers <- p.ask(ctx, url, name) }(repos[asked])
			asked++
			next.Reset(hedge)
		case a := <-answers:
			answered++
			switch {
			case a.err == nil:
				return &a, nil, nil
			case a.absent():
				all = append(all, a.cluster)
			default:
				err = errors.Join(err, a.err)
			}
			next.Reset(0)
		}
	}
	return nil, all, err
}

// ask asks one repository.
func (p *program) ask(ctx context.Context, url, name string) located {
	c, err := p.openClusterAt(ctx, url)
	if err == nil {
		err = c.VerifyReadsData()
	}
	if err != nil {
		return located{url, nil, err}
	}
	_, _, err = c.WAL(repo.Compression{}).Sum(ctx, name)
	return located{url, c, err}
}

// longest gives the repository that has most of a segment which is not complete, by the names of its parts; nil: none
// has anything.
func longest(ctx context.Context, all []*repo.Cluster, name string) (best *repo.Cluster, err error) {
	most := int64(0)
	for _, c := range all {
		end, err := c.WAL(repo.Compression{}).PartialEnd(ctx, name)
		if err != nil {
			return nil, err
		}
		if end > most {
			best, most = c, end
		}
	}
	return best, nil
}
