// Package backup takes one backup of a running cluster: plan, copy, commit.
//
// plan.go decides for each file what must be copied (pure), source*.go where the changed blocks
// come from, walk.go what belongs to the cluster, copy.go moves bytes, run.go holds the order of steps.
package backup
