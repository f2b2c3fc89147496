// Command pgincr takes full and incremental physical backups of PostgreSQL
// clusters and restores chains of them.
//
// Everything that a user sees is decided here and nowhere below: the grammar
// (grammar.go and one file for each command), the configuration file
// (config.go), messages (log.go, progress.go), hints (hint.go) and exit codes
// (exit.go). docs/cli.md, the man page and the completions are made from the
// grammar by reference_test.go.
package main

import "os"

//go:generate go test . -run TestGenerated -update
func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
