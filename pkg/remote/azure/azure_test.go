package azure_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/pgincr/pgincr/internal/storagetest"
	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/remote/azure"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// TestConformance: block blobs keep every promise of a store.
func TestConformance(t *testing.T) {
	server := storagetest.NewAzure(t)
	key, err := container.NewSharedKeyCredential(storagetest.AzureAccount, storagetest.AzureKey)
	if err != nil {
		t.Fatal(err)
	}
	spaces := 0
	space := func(t *testing.T) string {
		t.Helper()
		spaces++
		name := fmt.Sprintf("space-%d", spaces)
		url := "http://" + server.Addr + "/" + storagetest.AzureAccount + "/" + name
		c, err := container.NewClientWithSharedKeyCredential(url, key, nil)
		if err == nil {
			_, err = c.Create(t.Context(), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	open := func(t *testing.T, url, key string) *remote.Store {
		env := func(name string) string { return map[string]string{"AZURE_STORAGE_KEY": key}[name] }
		st, err := azure.Open(t.Context(), url, env)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	storetest.Run(t, func(t *testing.T) func() repo.Store {
		url := server.URL(space(t), "some/where")
		return func() repo.Store { return open(t, url, storagetest.AzureKey) }
	})
	t.Run("fit", func(t *testing.T) {
		if err := open(t, server.URL(space(t), "x"), storagetest.AzureKey).CreateRoot(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		wrong := strings.Replace(storagetest.AzureKey, "Eby", "Abc", 1)
		for name, test := range map[string]struct {
			url, key string
			cause    remote.Cause
		}{
			"no container": {server.URL("nowhere", "x"), storagetest.AzureKey, remote.NoSpace},
			"wrong key":    {server.URL(space(t), "x"), wrong, remote.Denied}, // Azure itself: AuthenticationFailed
			"no key":       {server.URL(space(t), "x"), "no key", remote.Credentials},
		} {
			var known *remote.Error
			_, err := open(t, test.url, test.key).Open(t.Context(), "a")
			if !errors.As(err, &known) || known.Cause != test.cause {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
