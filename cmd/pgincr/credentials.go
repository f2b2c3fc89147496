package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/pgincr/pgincr/pkg/keys"
)

// keyFlags say what opens an encrypted cluster.
type keyFlags struct {
	Identity          []string `sep:"none" placeholder:"FILE" env:"PGINCR_IDENTITY" help:"File with a private key to an encrypted cluster: of pgincr key generate, age-keygen or ssh-keygen; may be repeated."`
	PassphraseFile    string   `placeholder:"FILE" env:"PGINCR_PASSPHRASE_FILE" help:"File with the passphrase of an encrypted cluster; PGINCR_PASSPHRASE is the passphrase itself."`
	PassphraseCommand string   `placeholder:"COMMAND" env:"PGINCR_PASSPHRASE_COMMAND" help:"Shell command that prints that passphrase."`
}

// onlyVariable says that none of the flags gives a key, so that it can come from passphraseVariable only.
func (f keyFlags) onlyVariable() bool {
	return !slices.ContainsFunc(f.Identity, func(path string) bool { return path != "" }) &&
		f.PassphraseFile == "" && f.PassphraseCommand == ""
}

// passphraseVariable holds the passphrase itself. It has no flag, which a process list would show.
const passphraseVariable = "PGINCR_PASSPHRASE" //nolint:gosec // the name of a variable

// maxSecret bounds what is read of a file with a key or passphrase.
const maxSecret = 64 << 10

// credentials reads the files with keys. The passphrase is asked for only where it is needed.
func (p *program) credentials() (keys.Credentials, error) {
	f := p.common.keyFlags
	var c keys.Credentials
	for _, path := range f.Identity {
		if path == "" { // an empty variable
			continue
		}
		data, err := p.readSecret(path)
		if err != nil {
			return c, &usageError{err: fmt.Errorf("identity: %w", err)}
		}
		ids, err := keys.ParseIdentities(data)
		if err != nil {
			return c, &usageError{err: fmt.Errorf("identity %s: %w", path, err)}
		}
		c.Identities = append(c.Identities, ids...)
	}
	source, err := p.passphraseSource(f.PassphraseFile, f.PassphraseCommand, passphraseVariable)
	c.Passphrase = source
	return c, err
}

// passphraseSource gives what reads a passphrase, or nil where none is given.
func (p *program) passphraseSource(
	file, command, variable string,
) (func(context.Context) (string, error), error) {
	value := ""
	if variable != "" {
		value = os.Getenv(variable)
	}
	switch {
	case file != "" && command != "":
		return nil, &usageError{err: errors.New("a passphrase from a file and from a command: give one of them")}
	case file != "":
		return func(context.Context) (string, error) {
			data, err := p.readSecret(file)
			if err != nil {
				return "", &usageError{err: fmt.Errorf("passphrase: %w", err)}
			}
			return passphraseOf(data, file)
		}, nil
	case command != "":
		return func(ctx context.Context) (string, error) {
			cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command) //nolint:gosec // the operator's own command
			cmd.Stderr = p.stderr
			data, err := cmd.Output()
			if err != nil {
				return "", &usageError{err: fmt.Errorf("passphrase command: %w", err)}
			}
			return passphraseOf(data, "the command's output")
		}, nil
	case value != "":
		return func(context.Context) (string, error) { return passphraseOf([]byte(value), variable) }, nil
	}
	return nil, nil
}

// passphraseOf is the content of a file without the line feed at its end.
func passphraseOf(data []byte, where string) (string, error) {
	s := strings.TrimRight(string(data), "\r\n")
	if s == "" || strings.ContainsAny(s, "\r\n\x00") {
		return "", &usageError{err: fmt.Errorf("passphrase: %s: want one line that is not empty", where)}
	}
	return s, nil
}

// readSecret reads a small file and warns of one that others can read.
func (p *program) readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		p.log.Warn("file with a secret can be read by others", "path", path, "mode", info.Mode().Perm().String())
	}
	data, rerr := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err = errors.Join(err, rerr, f.Close()); err != nil {
		return nil, err
	}
	if len(data) > maxSecret {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxSecret)
	}
	return data, nil
}

// recipients reads public keys: each word is one, or a file of them, one a line.
func recipients(words []string, scope keys.Scope) ([]keys.Recipient, error) {
	var out []keys.Recipient
	for _, word := range words {
		lines := []string{word}
		if !strings.HasPrefix(word, "age1") && !strings.HasPrefix(word, "ssh-") {
			data, err := os.ReadFile(word)
			if err != nil {
				return nil, fmt.Errorf("recipient %q: neither a public key nor a file of them: %w", word, unwrapPath(err))
			}
			lines = strings.Split(string(bytes.TrimSpace(data)), "\n")
		}
		for _, line := range lines {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			r, err := keys.ParseRecipient(line, scope)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
	}
	return out, nil
}
