// Package e2e runs the portreeve binary as its users do and looks at it from outside: what other people wrote, documents
// and mocks, decides whether it is right. It is a module of its own and imports nothing of Portreeve, so that no fault of
// the program can hide in a test that shares its code.
package e2e
