package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
)

// Person is one of the API's users who can sign in.
type Person struct {
	ID   int
	Name string
	Role string
	AMR  []string // how this person's tokens say they were proven (RFC 8176)
}

// Subject returns the person's id as tokens carry it.
func (p Person) Subject() string { return strconv.Itoa(p.ID) }

// People returns them in the order of their ids. Managers and admins prove two factors.
func People() []Person {
	strong := []string{"pwd", "otp", "mfa"}
	return []Person{
		{1, "alice", "employee", []string{"pwd"}},
		{2, "bob", "employee", []string{"pwd"}},
		{3, "carol", "manager", strong},
		{4, "dave", "admin", strong},
		{5, "erin", "readonly", []string{"pwd"}},
	}
}

// Identity is a person with what proves them.
type Identity struct {
	Name     string `json:"name"`
	Role     string `json:"role"`
	UserID   int    `json:"user_id"`
	Password string `json:"password"`
	Token    string `json:"token"`
	APIKey   string `json:"api_key"`
}

// File is demo.json: where everything is, and who may try it.
type File struct {
	Guarded    string     `json:"guarded"`
	Naked      string     `json:"naked"`
	Admin      string     `json:"admin"`
	Document   string     `json:"document"`
	Identities []Identity `json:"identities"`
}

// FileName is where File is written, in the data directory.
const FileName = "demo.json"

// Write puts the file into a directory, readable by its owner alone, whole or not at all.
func (f File) Write(dir string) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", FileName, err)
	}
	return writeFile(dir, FileName, append(b, '\n'))
}

// writeFile puts one file into a directory, readable by its owner alone, whole or not at all.
func writeFile(dir, name string, b []byte) error {
	draft, err := os.CreateTemp(dir, ".demo-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(b)
	if cerr := draft.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(draft.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// ReadFile reads the file of an earlier start.
func ReadFile(dir string) (File, error) {
	var f File
	b, err := os.ReadFile(filepath.Join(dir, FileName))
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		return File{}, fmt.Errorf("reading %s: %w", FileName, err)
	}
	return f, nil
}

const passwordLetters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// NewPassword returns a random password of some 116 bits. random is crypto/rand.Reader outside of tests.
func NewPassword(random io.Reader) (string, error) {
	out := make([]byte, 20)
	for i := range out {
		n, err := randInt(random, len(passwordLetters))
		if err != nil {
			return "", fmt.Errorf("making a password: %w", err)
		}
		out[i] = passwordLetters[n]
	}
	return string(out), nil
}

// randInt returns a uniform number below n.
func randInt(random io.Reader, n int) (int, error) {
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return 0, err
	}
	v := new(big.Int).SetBytes(b[:]) // 64 bits modulo 55: the bias is 2^-58
	return int(v.Mod(v, big.NewInt(int64(n))).Int64()), nil
}
