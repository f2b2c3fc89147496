package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
)

// Identity is a private key.
type Identity struct{ age age.Identity }

// Credentials are what somebody has to open a ring with: any of the identities, or the
// passphrase, which is asked for only when no identity fits.
type Credentials struct {
	Identities []Identity
	Passphrase func(context.Context) (string, error) // nil: there is none
}

// Given says whether there is anything.
func (c Credentials) Given() bool { return len(c.Identities) > 0 || c.Passphrase != nil }

// ParseIdentities reads a file of private keys: lines of AGE-SECRET-KEY-1…, as age-keygen
// and Generate write them, or an SSH key that has no passphrase.
func ParseIdentities(data []byte) ([]Identity, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN")) {
		id, err := agessh.ParseIdentity(data)
		if err != nil {
			return nil, fmt.Errorf("SSH key: %w", err)
		}
		return []Identity{{id}}, nil
	}
	var out []Identity
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := age.ParseX25519Identity(line)
		if err != nil { // whose text would quote the key
			return nil, errors.New("want lines of AGE-SECRET-KEY-1…, or an SSH private key")
		}
		out = append(out, Identity{id})
	}
	if len(out) == 0 {
		return nil, errors.New("there is no key in it")
	}
	return out, nil
}

// Generate makes a new private key. The file is for ParseIdentities; public is its recipient.
func Generate() (file []byte, public string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, "", err
	}
	public = id.Recipient().String()
	return fmt.Appendf(nil, "# public key: %s\n%s\n", public, id), public, nil
}
