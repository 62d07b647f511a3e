package schema

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// vocabulary is a set of those of JSON Schema 2020-12 (§8.1.2) whose keywords can be told to assert nothing.
type vocabulary uint8

const (
	applicator vocabulary = 1 << iota
	unevaluated
	validation
)

const vocabularies = "https://json-schema.org/draft/2020-12/vocab/"

// optional are the vocabularies a metaschema can leave out, by address; those of 0 assert nothing, or do so here always.
var optional = map[string]vocabulary{
	vocabularies + "core": 0, vocabularies + "meta-data": 0, vocabularies + "content": 0, vocabularies + "format-annotation": 0, vocabularies + "format-assertion": 0,
	vocabularies + "applicator": applicator, vocabularies + "unevaluated": unevaluated, vocabularies + "validation": validation,
	"https://spec.openapis.org/oas/3.1/vocab/base": 0,
}

// holding is which schemas a keyword holds.
type holding uint8

const (
	noSchema holding = iota
	oneSchema
	listOfSchemas
	schemasByName
)

// keyword says what is to be known of a keyword before it is read.
type keyword struct {
	in    Dialect // alone; 0: both
	of    vocabulary
	holds holding
}

// keywords are those of JSON Schema 2020-12, with those of older drafts that still mean something, and those of OpenAPI
// 3.0 (§4.7.24). All others are annotations.
var keywords = map[string]keyword{
	"$ref":           {},
	"$dynamicRef":    {in: OpenAPI31},
	"$recursiveRef":  {in: OpenAPI31},
	"$id":            {in: OpenAPI31},
	"$schema":        {in: OpenAPI31},
	"$anchor":        {in: OpenAPI31},
	"$dynamicAnchor": {in: OpenAPI31},
	"$defs":          {in: OpenAPI31, holds: schemasByName},
	"definitions":    {in: OpenAPI31, holds: schemasByName},

	"allOf":                {of: applicator, holds: listOfSchemas},
	"anyOf":                {of: applicator, holds: listOfSchemas},
	"oneOf":                {of: applicator, holds: listOfSchemas},
	"not":                  {of: applicator, holds: oneSchema},
	"if":                   {in: OpenAPI31, of: applicator, holds: oneSchema},
	"then":                 {in: OpenAPI31, of: applicator, holds: oneSchema},
	"else":                 {in: OpenAPI31, of: applicator, holds: oneSchema},
	"dependentSchemas":     {in: OpenAPI31, of: applicator, holds: schemasByName},
	"dependencies":         {in: OpenAPI31, of: applicator, holds: schemasByName},
	"properties":           {of: applicator, holds: schemasByName},
	"patternProperties":    {in: OpenAPI31, of: applicator, holds: schemasByName},
	"additionalProperties": {of: applicator, holds: oneSchema},
	"propertyNames":        {in: OpenAPI31, of: applicator, holds: oneSchema},
	"items":                {of: applicator, holds: oneSchema},
	"prefixItems":          {in: OpenAPI31, of: applicator, holds: listOfSchemas},
	"contains":             {in: OpenAPI31, of: applicator, holds: oneSchema},

	"unevaluatedProperties": {in: OpenAPI31, of: unevaluated, holds: oneSchema},
	"unevaluatedItems":      {in: OpenAPI31, of: unevaluated, holds: oneSchema},

	"type":              {of: validation},
	"nullable":          {in: OpenAPI30},
	"enum":              {of: validation},
	"const":             {in: OpenAPI31, of: validation},
	"multipleOf":        {of: validation},
	"minimum":           {of: validation},
	"maximum":           {of: validation},
	"exclusiveMinimum":  {of: validation},
	"exclusiveMaximum":  {of: validation},
	"minLength":         {of: validation},
	"maxLength":         {of: validation},
	"pattern":           {of: validation},
	"minItems":          {of: validation},
	"maxItems":          {of: validation},
	"uniqueItems":       {of: validation},
	"minContains":       {in: OpenAPI31, of: validation},
	"maxContains":       {in: OpenAPI31, of: validation},
	"minProperties":     {of: validation},
	"maxProperties":     {of: validation},
	"required":          {of: validation},
	"dependentRequired": {in: OpenAPI31, of: validation},

	"format":           {},
	"readOnly":         {},
	"writeOnly":        {},
	"deprecated":       {},
	"examples":         {in: OpenAPI31},
	"contentEncoding":  {in: OpenAPI31},
	"contentMediaType": {in: OpenAPI31},
	"contentSchema":    {in: OpenAPI31, holds: oneSchema},

	"x-portreeve": {},
}

// harmless are keywords of JSON Schema that OpenAPI 3.0 has not, and whose absence changes no verdict. The others would
// assert something in JSON Schema and nothing in OpenAPI 3.0, which nobody means.
var harmless = []string{"$schema", "$defs", "definitions", "examples", "contentEncoding", "contentMediaType", "contentSchema"}

// one reads one keyword.
func (r *reader) one(name string, v ref) {
	old := r.set.dialect == OpenAPI30
	switch name {
	case "$ref":
		r.reference(v)
	case "$dynamicRef":
		r.dynamicReference(v)
	case "$recursiveRef":
		r.fail(v, "it is of another dialect than the document")
	case "$id", "contentEncoding", "contentMediaType":
		r.string(v)
	case "$schema":
		r.dialect(v)
	case "$anchor", "$dynamicAnchor":
		r.anchor(v)
	case "$defs", "definitions":
		r.is(v, Object)
	case "examples":
		r.is(v, Array)
	case "contentSchema":
		r.isSchema(v)
	case "deprecated":
		r.flag(v)

	case "allOf":
		r.s.allOf = r.schemas(v, true)
	case "anyOf":
		r.s.anyOf = r.schemas(v, true)
	case "oneOf":
		r.s.oneOf = r.schemas(v, true)
	case "not":
		r.s.not = r.inPlace(v)
	case "if":
		r.s.test = r.inPlace(v)
	case "then":
		r.s.then = r.inPlace(v)
	case "else":
		r.s.orElse = r.inPlace(v)
	case "dependentSchemas":
		r.dependentSchemas(v)
	case "dependencies":
		r.dependencies(v)
	case "unevaluatedProperties":
		r.s.otherMembers = r.schema(v)
	case "unevaluatedItems":
		r.s.otherItems = r.schema(v)

	case "type":
		r.types(v)
	case "nullable":
		r.s.nullable = r.flag(v)
	case "enum":
		r.enum(v)
	case "const":
		r.constant(v)
	case "format":
		r.format(v)
	case "readOnly":
		r.s.readOnly = r.flag(v)
	case "writeOnly":
		r.s.writeOnly = r.flag(v)
	case "x-portreeve":
		r.rule(v)

	case "properties":
		r.properties(v)
	case "patternProperties":
		r.patternProperties(v)
	case "additionalProperties":
		r.object.additional = r.schema(v)
	case "propertyNames":
		r.object.names = r.schema(v)
	case "required":
		r.object.required = r.names(v)
	case "dependentRequired":
		r.dependentRequired(v)
	case "minProperties":
		r.object.least = r.count(v)
	case "maxProperties":
		r.object.most = r.count(v)

	case "prefixItems":
		r.array.prefix = r.schemas(v, false)
	case "items":
		r.array.items = r.schema(v)
	case "contains":
		r.array.contains = r.schema(v)
	case "minContains":
		r.array.leastSuch = r.count(v)
	case "maxContains":
		r.array.mostSuch = r.count(v)
	case "minItems":
		r.array.least = r.count(v)
	case "maxItems":
		r.array.most = r.count(v)
	case "uniqueItems":
		r.array.unique = r.flag(v)

	case "minLength":
		r.text.least = r.count(v)
	case "maxLength":
		r.text.most = r.count(v)
	case "pattern":
		r.text.pattern = r.pattern(v, r.string(v))

	case "minimum":
		r.numeric.minimum = r.number(v)
	case "maximum":
		r.numeric.maximum = r.number(v)
	case "exclusiveMinimum":
		if old {
			r.aboveMinimum = r.flag(v)
		} else {
			r.numeric.above = r.number(v)
		}
	case "exclusiveMaximum":
		if old {
			r.belowMaximum = r.flag(v)
		} else {
			r.numeric.below = r.number(v)
		}
	case "multipleOf":
		r.multipleOf(v)

	default:
		r.fail(v, "the keyword %q is listed and not read", name) // a programming error, and no schema passes it
	}
}

// What a keyword's value must be. Each tells what it is instead, and returns something harmless.

func (r *reader) is(v ref, k Kind) bool {
	if r.tree.kind(v) == k {
		return true
	}
	r.fail(v, "no valid schema: %s stands where %s must", kindNames[r.tree.kind(v)], kindNames[k])
	return false
}

var kindNames = [...]string{Null: "null", Boolean: "a boolean", Number: "a number", String: "a string", Array: "an array", Object: "an object"}

func (r *reader) string(v ref) string {
	if !r.is(v, String) {
		return ""
	}
	return r.tree.text(v)
}

func (r *reader) flag(v ref) bool { return r.is(v, Boolean) && r.tree.truth(v) }

// count reads a whole number, 0 or more; 1.0 is one.
func (r *reader) count(v ref) int {
	if !r.is(v, Number) {
		return 0
	}
	d := decimalOf(r.tree.text(v))
	if d.negative || !d.isInteger() {
		r.fail(v, "no valid schema: it must be a whole number, 0 or more")
		return 0
	}
	if len(d.digits)+d.exponent > 18 {
		return math.MaxInt
	}
	n, _ := strconv.Atoi(d.digits + strings.Repeat("0", d.exponent))
	return n
}

func (r *reader) number(v ref) *bound {
	if !r.is(v, Number) {
		return nil
	}
	return boundOf(r.set.intern(r.tree.text(v)))
}

// names reads a list of strings, each once.
func (r *reader) names(v ref) []string {
	if !r.is(v, Array) {
		return nil
	}
	list := make([]string, 0, r.tree.items(v, -1))
	for i, end := v+1, r.tree.after(v); i < end; i = r.tree.after(i) {
		name := r.string(i)
		if slices.Contains(list, name) {
			r.fail(i, "no valid schema: %q stands twice", name)
		}
		list = append(list, r.set.intern(name))
	}
	return list
}

func (r *reader) isSchema(v ref) bool {
	switch r.tree.kind(v) {
	case Object:
		return true
	case Boolean:
		if r.set.dialect != OpenAPI30 || r.keyword == "additionalProperties" {
			return true
		}
	}
	r.fail(v, "no valid schema: %s stands where a schema must", kindNames[r.tree.kind(v)])
	return false
}
