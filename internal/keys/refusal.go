package keys

import "fmt"

// Refusal is why a credential was not believed. Its text is the fine reason of the event; a client learns none of it.
type Refusal string

const (
	ErrMalformed     = Refusal("key_malformed")
	ErrChecksum      = Refusal("key_checksum") // a typing error or a scanner's noise: nothing was looked up
	ErrUnknown       = Refusal("key_unknown")
	ErrWrongSecret   = Refusal("key_wrong_secret")
	ErrRevoked       = Refusal("key_revoked")
	ErrDisabled      = Refusal("key_disabled")
	ErrOwnerDisabled = Refusal("key_owner_disabled") // the owner is a user, and disabled
	ErrExpired       = Refusal("key_expired")        // also: rotated, and the overlap is over
	ErrAddress       = Refusal("key_address")        // not from an address of its list

	ErrUserUnknown   = Refusal("user_unknown")
	ErrUserDisabled  = Refusal("user_disabled")
	ErrWrongPassword = Refusal("user_wrong_password")

	ErrStale  = Refusal("directory_stale")    // the store has been away for too long to believe anything
	ErrPepper = Refusal("key_pepper_missing") // the key was hashed under a pepper that this process lacks
	ErrBusy   = Refusal("password_busy")      // as many passwords are being hashed as the machine bears
)

func (r Refusal) Error() string { return string(r) }

// Unavailable reports whether the refusal says nothing of the credential: it cannot be judged now, and the caller
// answers 503.
func (r Refusal) Unavailable() bool { return r == ErrStale || r == ErrPepper || r == ErrBusy }

// InvalidError is a request to a Manager that cannot be fulfilled as it stands.
type InvalidError struct{ Field, Problem string }

func (e *InvalidError) Error() string { return fmt.Sprintf("%s %s", e.Field, e.Problem) }

// BadInput marks the error as the user's to mend.
func (e *InvalidError) BadInput() bool { return true }

func invalid(field, format string, args ...any) error {
	return &InvalidError{field, fmt.Sprintf(format, args...)}
}
