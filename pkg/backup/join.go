package backup

import (
	"context"
	"iter"

	"github.com/pgincr/pgincr/pkg/pg"
)

// join joins the walk with a list of files in the same order: the parent's index, or what earlier attempts have.
type join[T any] struct {
	next func() (*T, error, bool)
	stop func()
	path func(*T) string
	head *T
	done bool
}

// newJoin begins; files nil: there is no list.
func newJoin[T any](ctx context.Context, files func(context.Context) iter.Seq2[*T, error],
	path func(*T) string,
) *join[T] {
	if files == nil {
		return &join[T]{done: true, stop: func() {}}
	}
	next, stop := iter.Pull2(files(ctx))
	return &join[T]{next: next, stop: stop, path: path}
}

// find gives the list's file of a path, nil when it has none. Paths come in order.
func (j *join[T]) find(path string) (*T, error) {
	for !j.done {
		if j.head == nil {
			f, err, ok := j.next()
			if err != nil {
				return nil, err
			}
			if !ok {
				j.done = true
				return nil, nil
			}
			j.head = f
		}
		switch c := pg.ComparePaths(j.path(j.head), path); {
		case c == 0:
			f := j.head
			j.head = nil
			return f, nil
		case c > 0:
			return nil, nil
		}
		j.head = nil
	}
	return nil, nil
}
