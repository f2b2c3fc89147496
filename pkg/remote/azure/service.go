package azure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
)

// tokenKey is the metadata that says whose object it is.
const tokenKey = "pgincrtoken"

// Now is the time of the newest answer.
func (s *service) Now(context.Context) (time.Time, error) {
	if now := s.transport.Date(); !now.IsZero() {
		return now, nil
	}
	return time.Time{}, s.refuse(remote.Unfit, errors.New("its answers have no date"))
}

// condition is what must be there: nothing, or this version.
func condition(replaces string) *blob.AccessConditions {
	c := new(blob.ModifiedAccessConditions)
	if replaces == "" {
		nothing := azcore.ETagAny
		c.IfNoneMatch = &nothing
	} else {
		tag := azcore.ETag(replaces)
		c.IfMatch = &tag
	}
	return &blob.AccessConditions{ModifiedAccessConditions: c}
}

// Put stores an object with one request, which carries a checksum that the service compares.
func (s *service) Put(ctx context.Context, key string, data []byte, o remote.PutOptions) (string, error) {
	c, err := s.container()
	if err != nil {
		return "", err
	}
	body := streaming.NopCloser(bytes.NewReader(data))
	resp, err := c.NewBlockBlobClient(key).Upload(ctx, body, &blockblob.UploadOptions{
		Metadata:                map[string]*string{tokenKey: &o.Token},
		TransactionalValidation: blob.TransferValidationTypeComputeCRC64(),
		AccessConditions:        condition(o.Replaces),
	})
	if err != nil {
		return "", s.wrap(err, o.Replaces != "")
	}
	return tagOf(resp.ETag), nil
}

// tagOf is an ETag, or "".
func tagOf(tag *azcore.ETag) string {
	if tag == nil {
		return ""
	}
	return string(*tag)
}

// Get reads a range.
func (s *service) Get(ctx context.Context, key string, p []byte, off int64) (n int, size int64, err error) {
	c, err := s.container()
	if err != nil {
		return 0, 0, err
	}
	resp, err := c.NewBlobClient(key).DownloadStream(ctx, &blob.DownloadStreamOptions{
		Range: blob.HTTPRange{Offset: off, Count: int64(len(p))},
	})
	if isInvalidRange(err) { // nothing lies there: an empty object has no ranges
		o, err := s.Stat(ctx, key)
		return 0, o.Size, err
	}
	if err != nil {
		return 0, 0, s.wrap(err, false)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	switch {
	case resp.ContentRange != nil:
		_, total, _ := strings.Cut(*resp.ContentRange, "/")
		if size, err = strconv.ParseInt(total, 10, 64); err != nil || size < 0 {
			return 0, 0, fmt.Errorf("answer with Content-Range %q", *resp.ContentRange)
		}
	case off == 0 && resp.ContentLength != nil:
		size = *resp.ContentLength
	default:
		return 0, 0, s.refuse(remote.Unfit, errors.New("it gives no ranges"))
	}
	n, err = io.ReadFull(resp.Body, p[:max(0, min(int64(len(p)), size-off))])
	return n, size, err
}

// Stat looks at an object.
func (s *service) Stat(ctx context.Context, key string) (remote.Object, error) {
	c, err := s.container()
	if err != nil {
		return remote.Object{}, err
	}
	p, err := c.NewBlobClient(key).GetProperties(ctx, nil)
	if err != nil {
		return remote.Object{}, s.wrap(err, false)
	}
	o := remote.Object{Key: key, Version: tagOf(p.ETag)}
	if p.ContentLength == nil || p.LastModified == nil {
		return o, fmt.Errorf("%s: answer without size or time", key)
	}
	o.Size, o.Modified = *p.ContentLength, *p.LastModified
	for k, v := range p.Metadata {
		if strings.EqualFold(k, tokenKey) && v != nil {
			o.Token = *v
		}
	}
	return o, nil
}

// List asks for five thousand.
func (s *service) List(ctx context.Context, l remote.List) (found remote.Page, err error) {
	c, err := s.container()
	if err != nil {
		return found, err
	}
	var marker *string
	if l.Next != "" {
		marker = &l.Next
	}
	if l.Recursive {
		pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &l.Prefix, Marker: marker})
		page, err := pager.NextPage(ctx)
		if err != nil {
			return found, s.wrap(err, false)
		}
		found.Next = next(page.NextMarker)
		found.Objects, err = appendItems(nil, page.Segment.BlobItems)
		return found, err
	}
	pager := c.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: &l.Prefix, Marker: marker})
	page, err := pager.NextPage(ctx)
	if err != nil {
		return found, s.wrap(err, false)
	}
	for _, dir := range page.Segment.BlobPrefixes {
		found.Objects = append(found.Objects, remote.Object{Key: *dir.Name})
	}
	found.Next = next(page.NextMarker)
	found.Objects, err = appendItems(found.Objects, page.Segment.BlobItems)
	return found, err
}

// next is where the next page begins; "": there is none.
func next(marker *string) string {
	if marker == nil {
		return ""
	}
	return *marker
}

// appendItems adds what a page lists.
func appendItems(found []remote.Object, items []*container.BlobItem) ([]remote.Object, error) {
	for _, item := range items {
		p := item.Properties
		if item.Name == nil || p == nil || p.ContentLength == nil || p.LastModified == nil {
			return nil, errors.New("listing without names, sizes or times")
		}
		found = append(found, remote.Object{Key: *item.Name, Size: *p.ContentLength, Modified: *p.LastModified})
	}
	return found, nil
}

// Delete removes objects.
func (s *service) Delete(ctx context.Context, keys []string) error {
	c, err := s.container()
	if err != nil {
		return err
	}
	var missing error
	for _, key := range keys {
		_, err := c.NewBlobClient(key).Delete(ctx, nil)
		switch err = s.wrap(err, false); {
		case errors.Is(err, repo.ErrNotFound):
			missing = err
		case err != nil:
			return err
		}
	}
	return missing
}
