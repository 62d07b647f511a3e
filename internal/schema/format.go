package schema

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var errFormat = errors.New("not of this format")

// formats are OpenAPI's own (OpenAPI Format Registry), beside JSON Schema's, which the engine has.
var formats = []jsonschema.Format{
	{Name: "int32", Validate: integer(32)},
	{Name: "int64", Validate: integer(64)},
	{Name: "byte", Validate: func(v any) error {
		if s, ok := v.(string); ok {
			if _, err := base64.StdEncoding.Strict().DecodeString(s); err != nil {
				return errFormat
			}
		}
		return nil
	}},
}

// integer asserts that an integer fits a signed word of so many bits; other numbers are the type's affair.
func integer(bits uint) func(any) error {
	limit := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return func(v any) error {
		n, ok := v.(json.Number)
		if !ok {
			return nil
		}
		r, ok := new(big.Rat).SetString(n.String())
		if !ok || !r.IsInt() {
			return errFormat
		}
		i := r.Num()
		if i.Cmp(limit) >= 0 || i.Cmp(new(big.Int).Neg(limit)) < 0 {
			return errFormat
		}
		return nil
	}
}
