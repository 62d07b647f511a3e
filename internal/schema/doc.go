// Package schema compiles the schemas of an OpenAPI document into programs that judge bodies and project them: what is
// not declared and what the viewer may not see leaves. A keyword that cannot be compiled is an error, never skipped.
//
// JSON is read strictly: duplicate names after unescaping, trailing data, invalid UTF-8, lone surrogates and too deep
// nesting are refused, because two parsers would read them differently (threat 45).
//
// Declared is what `unevaluatedProperties: false` would let stand: an object whose applied subschemas name properties
// and say nothing about others is closed; additionalProperties or unevaluatedProperties with true or a schema opens it;
// an object whose applied subschemas name no property at all is free-form and stays open.
//
// The engine behind Program is santhosh-tekuri/jsonschema over a tree. It is replaceable: callers see bytes only.
package schema
