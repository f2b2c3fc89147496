//go:build !linux

package main

import "errors"

// setIOPriority is for Linux.
func setIOPriority(string) error { return errors.New("only Linux has one") }
