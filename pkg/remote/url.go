package remote

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// URL is the address of a repository on a service: scheme://place/prefix?key=value.
// Each package takes the keys that it knows; what nobody took is a mistake.
type URL struct {
	Scheme string
	Place  string // bucket or container, or user@host:port
	Prefix string // without slashes at its ends

	values url.Values
	taken  []string
	err    error // the first
}

// ParseURL takes a URL apart. Secrets in it are refused: others see command lines and
// configuration files.
func ParseURL(s string) (*URL, error) {
	u, err := url.Parse(s)
	scheme, _, _ := strings.Cut(s, "://")
	if err != nil {
		return nil, fmt.Errorf("repository %s://…: not a URL", scheme) // its text may hold a secret
	}
	if _, ok := u.User.Password(); ok {
		return nil, fmt.Errorf("repository %s://…: a password or key in the URL is refused", scheme)
	}
	if u.User != nil && u.Scheme != "sftp" {
		return nil, fmt.Errorf("repository %s://…: credentials in the URL are refused", scheme)
	}
	if u.Host == "" || u.Opaque != "" || u.Fragment != "" {
		return nil, fmt.Errorf("repository %s://…: want %s://PLACE/PREFIX", scheme, scheme)
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("repository %s://…: what follows the question mark cannot be read", scheme)
	}
	p := &URL{Scheme: u.Scheme, Place: u.Host, Prefix: strings.Trim(u.Path, "/"), values: values}
	if u.User != nil {
		p.Place = u.User.Username() + "@" + u.Host
	}
	if slices.ContainsFunc(strings.Split(p.Prefix, "/"), func(e string) bool { return e == "." || e == ".." }) ||
		strings.Contains(p.Prefix, "//") || strings.ContainsFunc(p.Prefix, unicode.IsControl) {
		return nil, fmt.Errorf("repository %s: a prefix has no empty names, dots or control characters", p)
	}
	return p, nil
}

// String gives the URL without what follows the question mark.
func (u *URL) String() string {
	return strings.TrimSuffix(u.Scheme+"://"+u.Place+"/"+u.Prefix, "/")
}

// Take gives the value of a key, "" when it is not given.
func (u *URL) Take(key string) string {
	u.taken = append(u.taken, key)
	if v := u.values[key]; len(v) > 1 {
		u.fail(fmt.Errorf("%s is given more than once", key))
	}
	return u.values.Get(key)
}

// Bool is Take for yes and no.
func (u *URL) Bool(key string) bool {
	switch v := u.Take(key); v {
	case "true":
		return true
	case "", "false":
	default:
		u.fail(fmt.Errorf("%s=%s: want true or false", key, v))
	}
	return false
}

// Options takes what every service has: requests=N and timeout=DURATION.
func (u *URL) Options() Options {
	var o Options
	if v := u.Take("requests"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 1000 {
			u.fail(fmt.Errorf("requests=%s: want 1 to 1000", v))
		}
		o.Requests = n
	}
	if v := u.Take("timeout"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < time.Second || d > 24*time.Hour {
			u.fail(fmt.Errorf("timeout=%s: want a time from 1s to 24h, 2m for example", v))
		}
		o.Patience = d
	}
	return o
}

// fail keeps the first mistake.
func (u *URL) fail(err error) {
	if u.err == nil {
		u.err = err
	}
}

// Verify gives the first mistake, or a key that nobody took.
func (u *URL) Verify() error {
	err := u.err
	for key := range u.values {
		if err == nil && !slices.Contains(u.taken, key) {
			slices.Sort(u.taken)
			err = fmt.Errorf("unknown %q; known are %s", key, strings.Join(u.taken, ", "))
			if secretLike(key) {
				err = errors.New("credentials in the URL are refused")
			}
		}
	}
	if err != nil {
		return fmt.Errorf("repository %s: %w", u, err)
	}
	return nil
}

// secretLike says whether a key is one that people give secrets with.
func secretLike(key string) bool {
	key = strings.ToLower(key)
	return strings.Contains(key, "key") || strings.Contains(key, "secret") || strings.Contains(key, "token") ||
		strings.Contains(key, "password") || strings.HasPrefix(key, "sig")
}
