//go:build tools

// Package tools pins the real components that the tests run beside Loggia.
package tools
