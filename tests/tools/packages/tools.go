//go:build tools

// Package tools pins the programs of the package world that the tests run beside Loggia.
package tools
