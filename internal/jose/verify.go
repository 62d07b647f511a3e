package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes crypto.Hash names
	_ "crypto/sha512"
	"math/big"
)

var hashes = map[string]crypto.Hash{
	"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512,
	"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512,
	"ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512,
	"HS256": crypto.SHA256, "HS384": crypto.SHA384, "HS512": crypto.SHA512,
}

// verify reports whether signature is this key's over signed.
func (k *Key) verify(signed, signature []byte) bool {
	if p, ok := k.public.(ed25519.PublicKey); ok {
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(p, signed, signature)
	}
	hash, ok := hashes[k.Algorithm]
	if !ok {
		return false
	}
	if secret, ok := k.public.([]byte); ok {
		mac := hmac.New(hash.New, secret)
		mac.Write(signed)
		return hmac.Equal(mac.Sum(nil), signature)
	}
	h := hash.New()
	h.Write(signed)
	digest := h.Sum(nil)
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		if len(signature) != p.Size() {
			return false
		}
		if k.Algorithm[0] == 'P' { // RFC 7518 §3.5: the salt is as long as the hash
			return rsa.VerifyPSS(p, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(p, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		size := (p.Curve.Params().BitSize + 7) / 8 // RFC 7518 §3.4: R || S, each of the curve's size; never DER
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(p, digest, r, s)
	}
	return false
}
