// Command pgincr takes full and incremental physical backups of PostgreSQL
// clusters and restores chains of them.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
