package remote

import (
	"context"
	"time"
)

// PartSize is how much of an object is sent at a time.
const PartSize = 8 << 20

// Service is one space of objects, with the requests that can be made to it. Methods do one
// request, or the few that stand for one, and repeat nothing; a Store does that. They may be called from
// many goroutines. Errors are repo.ErrNotFound, repo.ErrExists, ErrChanged, an *Error, or
// anything else, which is taken for a passing trouble of the network.
type Service interface {
	// String gives the URL, without secrets.
	String() string
	// Limits says what the service can take.
	Limits() Limits
	// Put stores an object whole; it is durable and visible to everybody when Put returns.
	Put(ctx context.Context, key string, data []byte, o PutOptions) (version string, err error)
	// Begin starts an object that is sent in parts.
	Begin(ctx context.Context, key, token string) (Upload, error)
	// Get fills p from the object's bytes at off and gives the object's size. n is less than len(p)
	// only at the object's end.
	Get(ctx context.Context, key string, p []byte, off int64) (n int, size int64, err error)
	// Stat looks at an object.
	Stat(ctx context.Context, key string) (Object, error)
	// List gives one page of a list.
	List(ctx context.Context, l List) (Page, error)
	// Delete removes objects, at most Limits.Deletes of them. One that is not there is no error, or
	// repo.ErrNotFound when the others are removed.
	Delete(ctx context.Context, keys []string) error
	// Now is the service's own time, by which it stamps objects, about that of what it answered last. It costs no
	// request, or one that nobody charges for.
	Now(ctx context.Context) (time.Time, error)
}

// Limits is what a service can take.
type Limits struct {
	Deletes int // objects in one request
	Parts   int // of one object; 0: any number
	// Seeks: a recursive list that begins behind a key costs no more than what it gives.
	Seeks bool
	// Ordered: parts must be sent one after the other, and all but the last have PartSize bytes.
	Ordered bool
	// Direct: nothing stands between that could answer for the service, as a proxy does, so that what it says is
	// absent needs no proof.
	Direct bool
}

// List asks for the objects whose keys begin with Prefix.
type List struct {
	Prefix string
	// Recursive: each by its whole key. Otherwise those that have a further slash are summed up as one key that ends
	// in it.
	Recursive bool
	// After: keys that are not greater are not wanted. A service may give them nevertheless.
	After string
	// Next is that of the page before; "" asks for the first one.
	Next string
}

// Page is a part of a list, in any order.
type Page struct {
	Objects []Object
	Next    string // asks for the next one; "": this was the last
}

// PutOptions says what Put is to find.
type PutOptions struct {
	// Token is kept with the object.
	Token string
	// Replaces is the version that the object must have. With "" there must be no object, or Put
	// fails with repo.ErrExists; a wrong version is ErrChanged.
	Replaces string
}

// Object is what a service knows about an object.
type Object struct {
	Key      string
	Size     int64
	Modified time.Time // by the service's clock
	Version  string    // by Stat only
	Token    string    // by Stat only
}

// Upload is an object that is being sent in parts. It exists after Complete.
type Upload interface {
	// Part sends the bytes of part number (from 1), which begin at off. It may be sent again.
	Part(ctx context.Context, number int, off int64, data []byte) error
	// Complete sends the rest, if any, as that part and makes the object, or fails with repo.ErrExists.
	Complete(ctx context.Context, number int, off int64, rest []byte) error
	// Abort drops what was sent.
	Abort(ctx context.Context) error
}
