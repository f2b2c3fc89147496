package keys

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
)

// PassphraseName is the name of the recipient that the passphrase stands for.
const PassphraseName = "passphrase"

// New makes a ring of one generation and its document. phrase "": without a passphrase.
func New(cluster string, recipients []Recipient, phrase string) (*Ring, *Document, error) {
	g, err := newGeneration()
	if err != nil {
		return nil, nil, err
	}
	r := &Ring{Cluster: cluster, Serial: 1, Recipients: slices.Clone(recipients), Generations: []Generation{g}}
	if phrase != "" {
		return r.withPassphrase(phrase)
	}
	d, err := r.Seal(nil)
	return r, d, err
}

// next is a copy with the next serial number.
func (r *Ring) next() *Ring {
	n := *r
	n.Serial++
	n.Recipients = slices.Clone(r.Recipients)
	n.Generations = slices.Clone(r.Generations)
	return &n
}

// Add gives the document with more recipients.
func (r *Ring) Add(d *Document, who ...Recipient) (*Document, error) {
	n := r.next()
	n.Recipients = append(n.Recipients, who...)
	return n.Seal(d.Passphrase)
}

// Remove gives the document without a recipient, which is named by its key, a unique beginning of
// it, or its name. The keys that were open to it stay in use until Rotate.
func (r *Ring) Remove(d *Document, which string) (*Document, error) {
	n := r.next()
	i, err := n.find(which)
	if err != nil {
		return nil, err
	}
	phrase := d.Passphrase
	if n.Recipients[i].Name == PassphraseName {
		phrase = nil
	}
	n.Recipients = slices.Delete(n.Recipients, i, i+1)
	return n.Seal(phrase)
}

// find gives the place of a recipient.
func (r *Ring) find(which string) (int, error) {
	found := -1
	for i, o := range r.Recipients {
		if o.Key == which || o.Name != "" && o.Name == which {
			return i, nil
		}
		if which == "" || !strings.HasPrefix(o.Key, which) {
			continue
		}
		if found >= 0 {
			return 0, fmt.Errorf("recipient %q: more than one begins so", which)
		}
		found = i
	}
	if found < 0 {
		return 0, fmt.Errorf("recipient %q: the keyring has none of that name", which)
	}
	return found, nil
}

// Rotate gives the document with a new generation, which new objects will use.
func (r *Ring) Rotate(d *Document) (*Document, error) {
	g, err := newGeneration()
	if err != nil {
		return nil, err
	}
	n := r.next()
	n.Generations = append(n.Generations, g)
	return n.Seal(d.Passphrase)
}

// SetPassphrase gives the document with another passphrase, or its first one.
func (r *Ring) SetPassphrase(phrase string) (*Document, error) {
	n := r.next()
	n.Recipients = slices.DeleteFunc(n.Recipients, func(o Recipient) bool { return o.Name == PassphraseName })
	_, d, err := n.withPassphrase(phrase)
	return d, err
}

// withPassphrase adds a recipient whose private key the passphrase protects.
func (r *Ring) withPassphrase(phrase string) (*Ring, *Document, error) {
	if len(phrase) < minPassphrase {
		return nil, nil, fmt.Errorf("passphrase: want at least %d characters", minPassphrase)
	}
	if slices.ContainsFunc(r.Recipients, func(o Recipient) bool { return o.Name == PassphraseName }) {
		return nil, nil, errors.New("recipient called passphrase: that name is taken")
	}
	s, err := age.NewScryptRecipient(phrase)
	if err != nil {
		return nil, nil, err
	}
	file, public, err := Generate()
	if err != nil {
		return nil, nil, err
	}
	protected, err := encrypt(file, s)
	if err != nil {
		return nil, nil, err
	}
	r.Recipients = append(r.Recipients, Recipient{Key: public, Name: PassphraseName, Scope: All})
	d, err := r.Seal(protected)
	return r, d, err
}

// minPassphrase is the least length of a passphrase in bytes: who guesses has all the time there is.
const minPassphrase = 12
