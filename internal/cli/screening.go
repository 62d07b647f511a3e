package cli

import (
	"github.com/portreeve/portreeve/internal/gate/validate"
	"github.com/portreeve/portreeve/internal/screen"
)

// screening compiles the rules for free text, once a plan asks for them.
func screening(paranoia int) (validate.Screener, error) { return screen.New(paranoia) }
