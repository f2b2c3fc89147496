package storagetest

import (
	"fmt"
	"net"
	"testing"
)

// The account that azurite has, as its documentation says.
const (
	AzureAccount = "devstoreaccount1"
	AzureKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Azure is a running azurite, Microsoft's stand-in for Azure Blob Storage.
type Azure struct{ Addr string }

// NewAzure starts one.
func NewAzure(t testing.TB) *Azure {
	t.Helper()
	program := find(t, "azurite")
	s := &Azure{Addr: freePort(t)}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	start(t, s.Addr, nil, program, "--blobHost", host, "--blobPort", port, "--location", newRoot(t),
		"--silent", "--skipApiVersionCheck", "--disableTelemetry")
	return s
}

// URL gives a repository in a container.
func (s *Azure) URL(container, prefix string) string {
	return fmt.Sprintf("azblob://%s/%s?account=%s&endpoint=http://%s/%s",
		container, prefix, AzureAccount, s.Addr, AzureAccount)
}

// Env is the environment in which it is used.
func (s *Azure) Env() []string { return []string{"AZURE_STORAGE_KEY=" + AzureKey} }
