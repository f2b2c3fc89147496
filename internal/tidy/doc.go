// Package tidy has no code, only tests: it keeps the habits of this repository
// that no linter knows. Each test names the file and what to do about it.
package tidy
