package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Files of a ledger's directory beside its segments and tiles.
const (
	checkpointFile = "checkpoint"         // the newest, a signed note
	signerFile     = "checkpoint-key"     // the private key, mode 0600
	verifierFile   = "checkpoint-key.pub" // the note verifier key: whoever has it can judge checkpoints and proofs
)

// Checkpoint is a signed tree head (c2sp.org/tlog-checkpoint): what the ledger held when it was made. Whoever keeps one
// elsewhere finds that the ledger was cut or rewritten since.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   tlog.Hash
	Note   []byte // as signed
}

// CheckpointVerb is the event whose message is a checkpoint, so that every copy of the lines holds checkpoints too.
const CheckpointVerb = "ledger.checkpoint"

// ErrNotOurs is a checkpoint whose signature this ledger's key did not make.
var ErrNotOurs = errors.New("is not signed by this ledger's key")

// text is what is signed.
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// ReadCheckpoint opens a signed note with a verifier key.
func ReadCheckpoint(signed []byte, v note.Verifier) (Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(v))
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		return Checkpoint{}, ErrNotOurs
	case err != nil:
		return Checkpoint{}, fmt.Errorf("is not a checkpoint: %w", err)
	}
	for _, sig := range n.Sigs { // one text for one signature
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return Checkpoint{}, fmt.Errorf("is not a checkpoint: %w", err)
		}
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != v.Name() {
		return Checkpoint{}, fmt.Errorf("is not a checkpoint of %s", v.Name())
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return Checkpoint{}, errors.New("is not a checkpoint: its second line is no size")
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, errors.New("is not a checkpoint: its third line is no hash")
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: tlog.Hash(root), Note: bytes.Clone(signed)}, nil
}

// Verifier returns the key by which a ledger's checkpoints are judged, and its text.
func Verifier(dir string) (note.Verifier, string, error) {
	b, err := os.ReadFile(filepath.Join(dir, verifierFile))
	if err != nil {
		return nil, "", fmt.Errorf("reading the ledger's verifier key: %w", err)
	}
	text := strings.TrimSpace(string(b))
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, "", fmt.Errorf("%s is not a note verifier key: %w", verifierFile, err)
	}
	return v, text, nil
}

// Latest returns the newest checkpoint of a ledger, unless there is none yet.
func Latest(dir string, v note.Verifier) (Checkpoint, bool, error) {
	b, err := os.ReadFile(filepath.Join(dir, checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Checkpoint{}, false, nil
	}
	if err != nil {
		return Checkpoint{}, false, fmt.Errorf("reading checkpoint: %w", err)
	}
	c, err := ReadCheckpoint(b, v)
	if err != nil {
		return Checkpoint{}, false, fmt.Errorf("%s %w", checkpointFile, err)
	}
	return c, true, nil
}

// ErrKeyMissing: a ledger that was signed until now has lost its key. A new one would make the past unverifiable, so
// none is made.
var ErrKeyMissing = fmt.Errorf("%s is missing, and there are lines that it vouches for: restore it from a backup, or move the ledger away to begin another", signerFile)

// loadSigner reads a ledger's key, or makes one for a ledger without lines.
func loadSigner(dir string, empty bool, random io.Reader) (note.Signer, error) {
	name := filepath.Join(dir, signerFile)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if !empty {
			return nil, ErrKeyMissing
		}
		return newSigner(dir, random)
	}
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
		return nil, errors.Join(err, fmt.Errorf("%s can be read by others: chmod 600 %s, and think about who read it", signerFile, name))
	}
	s, err := note.NewSigner(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, fmt.Errorf("%s is not a note signer key", signerFile) // never what it holds
	}
	return s, nil
}

// newSigner makes an Ed25519 key. Its name, the log's origin, is this ledger's alone.
func newSigner(dir string, random io.Reader) (note.Signer, error) {
	var id [8]byte
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return nil, fmt.Errorf("making the ledger's key: %w", err)
	}
	secret, public, err := note.GenerateKey(random, fmt.Sprintf("portreeve/ledger/%x", id))
	if err != nil {
		return nil, fmt.Errorf("making the ledger's key: %w", err)
	}
	// The public half first: a key without it would never be made again.
	if err := replaceFile(filepath.Join(dir, verifierFile), []byte(public+"\n"), 0o600); err != nil {
		return nil, err
	}
	if err := replaceFile(filepath.Join(dir, signerFile), []byte(secret+"\n"), 0o600); err != nil {
		return nil, err
	}
	return note.NewSigner(secret)
}

// seal signs a tree's head and makes its right edge and the checkpoint durable. full are the tiles that became full since
// the last.
func (l *Ledger) seal(t tree, full []tile) (Checkpoint, error) {
	for _, f := range append(full, t.partial()...) {
		if err := f.write(l.dir); err != nil {
			return Checkpoint{}, fmt.Errorf("writing the ledger's tree: %w", err)
		}
	}
	c := Checkpoint{Origin: l.signer.Name(), Size: t.size, Root: t.root()}
	signed, err := note.Sign(&note.Note{Text: c.text()}, l.signer)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("signing checkpoint: %w", err)
	}
	c.Note = signed
	if err := replaceFile(filepath.Join(l.dir, checkpointFile), signed, 0o600); err != nil {
		return Checkpoint{}, fmt.Errorf("writing checkpoint: %w", err)
	}
	return c, nil
}
