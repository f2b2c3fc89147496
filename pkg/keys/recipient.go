package keys

import (
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
)

// Scope is what a recipient of a ring may do.
type Scope string

// The scopes.
const (
	// All reads and writes everything and may change the ring.
	All Scope = "all"
	// Backup takes backups, incremental ones too, archives WAL and lists what there is. It
	// cannot read pages or WAL.
	Backup Scope = "backup"
)

// Recipient is a public key that a ring is wrapped for.
type Recipient struct {
	Key   string `json:"key"` // age1…, ssh-ed25519 … or ssh-rsa …, without a comment
	Name  string `json:"name,omitempty"`
	Scope Scope  `json:"scope"`
}

// maxRecipients bounds a ring's recipients, maxKey the text of one.
const (
	maxRecipients = 100
	maxKey        = 4096
)

// ParseRecipient reads a public key as age-keygen or ssh-keygen write it. The comment of
// an SSH key becomes its name.
func ParseRecipient(text string, scope Scope) (Recipient, error) {
	r := Recipient{Key: strings.TrimSpace(text), Scope: scope}
	if strings.HasPrefix(r.Key, "ssh-") {
		fields := strings.Fields(r.Key)
		r.Key = strings.Join(fields[:min(2, len(fields))], " ")
		r.Name = strings.Join(fields[min(2, len(fields)):], " ")
	}
	_, err := r.parse()
	return r, err
}

// parse gives what age wraps for.
func (r Recipient) parse() (age.Recipient, error) {
	if r.Scope != All && r.Scope != Backup {
		return nil, fmt.Errorf("recipient of scope %q", r.Scope)
	}
	if len(r.Key) > maxKey {
		return nil, fmt.Errorf("public key of %d bytes, more than %d", len(r.Key), maxKey)
	}
	var got age.Recipient
	var err error
	if strings.HasPrefix(r.Key, "ssh-") {
		got, err = agessh.ParseRecipient(r.Key)
	} else {
		got, err = age.ParseX25519Recipient(r.Key)
	}
	if err != nil {
		return nil, fmt.Errorf("public key %q: want age1…, ssh-ed25519 … or ssh-rsa …", shorten(r.Key))
	}
	return got, nil
}

// shorten makes a key fit into a message.
func shorten(key string) string {
	if len(key) > 80 {
		return key[:77] + "…"
	}
	return key
}

// recipientsOf gives those that a part of the ring is wrapped for: the whole ring for scope All, the
// rest of it for all.
func recipientsOf(all []Recipient, scope Scope) ([]age.Recipient, error) {
	var out []age.Recipient
	for _, r := range all {
		if scope == All && r.Scope != All {
			continue
		}
		p, err := r.parse()
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// verifyRecipients refuses what no ring has: none of scope All, too many, one twice.
func verifyRecipients(all []Recipient) error {
	if len(all) > maxRecipients {
		return fmt.Errorf("%d recipients, more than %d", len(all), maxRecipients)
	}
	for i, r := range all {
		if slices.ContainsFunc(all[:i], func(o Recipient) bool { return o.Key == r.Key }) {
			return fmt.Errorf("recipient %s is there twice", shorten(r.Key))
		}
	}
	if !slices.ContainsFunc(all, func(r Recipient) bool { return r.Scope == All }) {
		return fmt.Errorf("no recipient that can read everything")
	}
	return nil
}
