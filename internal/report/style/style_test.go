package style

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// luminance is WCAG 2.2's relative luminance.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32)
	if err != nil || len(hex) != 7 {
		t.Fatalf("colour %q", hex)
	}
	channel := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}

func contrast(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }

func TestContrast(t *testing.T) {
	colours := map[string]string{}
	for _, m := range regexp.MustCompile(`--(\w+): (#[0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
		colours[m[1]] = m[2]
	}
	texts := 0
	for name, colour := range colours {
		if name == "paper" || name == "wash" || name == "line" {
			continue
		}
		texts++
		for _, ground := range []string{"paper", "wash"} {
			if c := contrast(luminance(t, colour), luminance(t, colours[ground])); c < 4.5 {
				t.Errorf("%s on %s has a contrast of %.2f", name, ground, c)
			}
		}
	}
	if texts < 8 {
		t.Errorf("only %d colours were found", texts)
	}
	if c := contrast(luminance(t, "#777777"), luminance(t, "#ffffff")); c > 4.5 || c < 4.4 {
		t.Errorf("the measure itself is wrong: %.3f", c)
	}
	if loose := regexp.MustCompile(`(?m)^[^-\n]*[^-]color: #`).FindString(css); loose != "" {
		t.Errorf("a colour outside the list: %s", loose)
	}
}

func TestNothingIsFetched(t *testing.T) {
	for _, word := range []string{"url(", "@import", "http:", "https:", "</"} {
		if strings.Contains(css, word) {
			t.Errorf("the style sheet holds %s", word)
		}
	}
}
