package repo

import "github.com/pgincr/pgincr/pkg/keys"

// Option says how an entry is opened or made.
type Option func(*options)

type options struct {
	credentials keys.Credentials
	encryption  *Encryption
}

// Encryption is how a new entry is encrypted.
type Encryption struct {
	Recipients []keys.Recipient
	Passphrase string // "": none
}

// WithCredentials opens an encrypted entry with c. Nothing given is no option at all.
func WithCredentials(c keys.Credentials) Option { return func(o *options) { o.credentials = c } }

// WithEncryption makes a new entry encrypted; one that exists must be so.
func WithEncryption(e Encryption) Option { return func(o *options) { o.encryption = &e } }

func optionsOf(all []Option) options {
	var o options
	for _, set := range all {
		set(&o)
	}
	return o
}
