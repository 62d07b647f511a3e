package schema

import "strings"

// isDuration: RFC 3339 appendix A. Neighbours must be neighbours: a year with days has months too.
func isDuration(s string) bool {
	rest, ok := strings.CutPrefix(s, "P")
	if !ok {
		return false
	}
	date, time, timed := strings.Cut(rest, "T")
	if timed && !isRun(time, "HMS") {
		return false
	}
	return isRun(date, "YMD") || timed && date == "" || !timed && isRun(date, "W")
}

// isRun reports whether a text is numbers with units, one at least, the units as they follow each other in a list.
func isRun(s, units string) bool {
	last := -1
	for s != "" {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		if digits == 0 || digits == len(s) {
			return false
		}
		unit := strings.IndexByte(units, s[digits])
		if unit < 0 || last >= 0 && unit != last+1 {
			return false
		}
		last, s = unit, s[digits+1:]
	}
	return last >= 0
}

// isRelativePointer: draft-bhutton-relative-json-pointer-00 §3, without its index manipulation.
func isRelativePointer(s string) bool {
	rest := strings.TrimLeft(s, "0123456789")
	n := len(s) - len(rest)
	return n > 0 && (n == 1 || s[0] != '0') && (rest == "#" || isJSONPointer(rest))
}

// isURITemplate: RFC 6570 §2.
func isURITemplate(s string) bool {
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			return isTemplateText(s)
		}
		end := strings.IndexByte(s, '}')
		if s[i] == '}' || end < 0 || !isTemplateText(s[:i]) || !isExpression(s[i+1:end]) {
			return false
		}
		s = s[end+1:]
	}
	return true
}

// isTemplateText: literals of RFC 6570 §2.1, with the apostrophe that its erratum 6937 lets stand.
func isTemplateText(s string) bool {
	for i, r := range s {
		switch {
		case r == '%':
			if !isEscape(s[i:]) {
				return false
			}
		case r <= ' ' || r == 0x7f || strings.ContainsRune("\"<>\\^`|", r), r > 0x7f && !isUCS(r) && !isPrivate(r):
			return false
		}
	}
	return true
}

func isEscape(s string) bool { return len(s) > 2 && s[0] == '%' && isHex(s[1]) && isHex(s[2]) }

func isExpression(s string) bool {
	if s != "" && strings.IndexByte("+#./;?&=,!@|", s[0]) >= 0 {
		s = s[1:]
	}
	for variable := range strings.SplitSeq(s, ",") {
		name, most, limited := strings.Cut(variable, ":")
		if limited && (len(most) > 4 || strings.Trim(most, "0123456789") != "" || most == "" || most[0] == '0') {
			return false
		}
		if !limited {
			name = strings.TrimSuffix(name, "*")
		}
		for part := range strings.SplitSeq(name, ".") {
			if part == "" {
				return false
			}
			for i := 0; i < len(part); i++ {
				if part[i] == '%' && isEscape(part[i:]) {
					i += 2
				} else if !isAlnum(part[i]) && part[i] != '_' {
					return false
				}
			}
		}
	}
	return true
}
