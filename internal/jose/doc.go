// Package jose verifies tokens: compact JWS only, strictly read, the key deciding the algorithm and never the token
// (RFC 7515, 7519, 8725). It also holds the keys that verify (JWKS, PEM, secrets) and the one that signs.
//
// It proves claims; it never decides what they permit, and it never knows whether a token was revoked: that is looked
// up by the caller on every use, because what is verified here is remembered.
package jose
