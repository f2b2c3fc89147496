package main

import (
	"fmt"
	"strings"
)

// assignment is a flag's KEY=VALUE. An equals sign in the key is written \=, as with pg_basebackup -T.
type assignment struct{ key, value string }

// UnmarshalText reads KEY=VALUE.
func (a *assignment) UnmarshalText(b []byte) error {
	s := string(b)
	for i := range len(s) {
		if s[i] == '=' && (i == 0 || s[i-1] != '\\') {
			a.key, a.value = strings.ReplaceAll(s[:i], `\=`, "="), strings.ReplaceAll(s[i+1:], `\=`, "=")
			if a.key == "" {
				return fmt.Errorf("%q: nothing before the equals sign", s)
			}
			return nil
		}
	}
	return fmt.Errorf("%q: no equals sign", s)
}

func escapeEquals(s string) string { return strings.ReplaceAll(s, "=", `\=`) }

// assignments makes a map; the same key twice is an error.
func assignments(list []assignment) (map[string]string, error) {
	m := make(map[string]string, len(list))
	for _, a := range list {
		if _, twice := m[a.key]; twice {
			return nil, fmt.Errorf("%q is given twice", a.key)
		}
		m[a.key] = a.value
	}
	return m, nil
}
