package main

import (
	"path/filepath"
	"strings"
)

// shellQuote makes a word that sh reads back as s.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("_-+=:,./@", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// walRestoreCommand is the line that fetches WAL during recovery. PostgreSQL replaces %f, %p, %r and %%
// before the shell sees it (replace_percent_placeholders).
func walRestoreCommand(executable string, c *commonFlags, repos ...string) string {
	words := []string{executable, "archive-get"}
	for _, url := range repos {
		words = append(words, "--repo", url)
	}
	words = append(words, "--cluster", c.Cluster)
	if c.Config != "" {
		words = append(words, "--config", absolute(string(c.Config)))
	}
	for _, file := range c.Identity {
		if file != "" {
			words = append(words, "--identity", absolute(file))
		}
	}
	if c.PassphraseFile != "" {
		words = append(words, "--passphrase-file", absolute(c.PassphraseFile))
	}
	if c.PassphraseCommand != "" {
		words = append(words, "--passphrase-command", c.PassphraseCommand)
	}
	for i, w := range words {
		words[i] = strings.ReplaceAll(shellQuote(w), "%", "%%")
	}
	return strings.Join(words, " ") + ` %f "%p"`
}

// absoluteRepo makes a path of a repository independent of the working directory; URLs are so already.
func absoluteRepo(repo string) string {
	if strings.Contains(repo, "://") {
		return repo
	}
	return absolute(repo)
}

// absolute leaves a path as it is when there is no working directory to put before it.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
