package azure

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/pgincr/pgincr/pkg/remote"
)

// upload is a blob whose blocks are sent before they are named together.
type upload struct {
	s     *service
	blob  *blockblob.Client
	token string
}

// Begin asks nothing of the service: blocks need no session.
func (s *service) Begin(_ context.Context, key, token string) (remote.Upload, error) {
	c, err := s.container()
	if err != nil {
		return nil, err
	}
	return &upload{s: s, blob: c.NewBlockBlobClient(key), token: token}, nil
}

// block is the name of a part's block. It has the token, so that two writers of one object do
// not mix.
func (u *upload) block(number int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s-%05d", u.token, number))
}

// Part sends a block.
func (u *upload) Part(ctx context.Context, number int, _ int64, data []byte) error {
	_, err := u.blob.StageBlock(ctx, u.block(number), streaming.NopCloser(bytes.NewReader(data)),
		&blockblob.StageBlockOptions{TransactionalValidation: blob.TransferValidationTypeComputeCRC64()})
	return u.s.wrap(err, false)
}

// Complete makes the blob of its blocks if there is none.
func (u *upload) Complete(ctx context.Context, number int, off int64, rest []byte) error {
	parts := number - 1
	if len(rest) > 0 {
		if err := u.Part(ctx, number, off, rest); err != nil {
			return err
		}
		parts = number
	}
	blocks := make([]string, parts)
	for i := range blocks {
		blocks[i] = u.block(i + 1)
	}
	_, err := u.blob.CommitBlockList(ctx, blocks, &blockblob.CommitBlockListOptions{
		Metadata: map[string]*string{tokenKey: &u.token}, AccessConditions: condition(""),
	})
	return u.s.wrap(err, false)
}

// Abort leaves the blocks, which the service removes after a week: there is no request for it.
func (u *upload) Abort(context.Context) error { return nil }
