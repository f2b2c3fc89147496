// Package e2e runs the pgincr binary against real servers, as an operator
// would, and lets PostgreSQL judge the result. It has nothing but tests.
//
// Reading order: main_test.go (builds the binary), site_test.go (a cluster with
// a repository and what can be done with them), then any test.
package e2e
