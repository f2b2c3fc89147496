package repo

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// LaterLister is a Store that may list what is behind a name without being asked for what is before it.
type LaterLister interface {
	// Seeks says whether it does.
	Seeks() bool
	// ListAfter is a recursive List of the names that are greater than after.
	ListAfter(ctx context.Context, prefix, after string) ([]ObjectInfo, error)
}

// Glancer is a Store that makes certain of absence at a price, and can leave that out.
type Glancer interface {
	// Glance is Stat, but that there is no such object may be wrong. Who creates it next finds out.
	Glance(ctx context.Context, name string) (int64, error)
}

// listAfter lists what is below prefix and behind a name, of all that there is where the store does no better. Below
// prefix are no directories.
func listAfter(ctx context.Context, st Store, prefix, after string) ([]ObjectInfo, error) {
	if l, ok := st.(LaterLister); ok && after != "" {
		return l.ListAfter(ctx, prefix, after)
	}
	found, err := st.List(ctx, prefix, true)
	return slices.DeleteFunc(found, func(o ObjectInfo) bool { return strings.Compare(o.Name, after) <= 0 }), err
}

// seeks says whether listAfter costs no more than what it gives.
func seeks(st Store) bool {
	l, ok := st.(LaterLister)
	return ok && l.Seeks()
}

// glance says whether an object seems to be there.
func glance(ctx context.Context, st Store, name string) (there bool, err error) {
	if g, ok := st.(Glancer); ok {
		_, err = g.Glance(ctx, name)
	} else {
		_, err = st.Stat(ctx, name)
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
