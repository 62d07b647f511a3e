// Package schema compiles the schemas of an OpenAPI document into programs that judge bodies and project them: what is
// not declared and what the viewer may not see leaves. A keyword, pattern or field rule that cannot be compiled is an
// error, never skipped. The package never fetches anything, and never repairs what it reads.
//
// # Strict JSON
//
// Names given twice (after unescaping), trailing data, a byte order mark, invalid UTF-8, lone surrogates, numbers beyond
// any finite double and too deep nesting are refused, because two parsers would read them differently (RFC 7493, threat 45).
// Numbers are compared exactly.
//
// # What is declared
//
// Declared is what `unevaluatedProperties: false` would let stand, seen across $ref, allOf, if and those branches of
// oneOf and anyOf that the value follows:
//
//   - an object whose applied subschemas name properties and say nothing about others is closed;
//   - additionalProperties or unevaluatedProperties with true or a schema opens it;
//   - an object whose applied subschemas name no property at all is free-form and stays open, with all below it.
//
// Options.Undeclared says what becomes of the rest. With Drop, members that only an explicit `additionalProperties:
// false` forbids are dropped like every other, instead of making the body invalid; an alternative of oneOf or anyOf that
// the value follows as it stands goes before one that it follows only so.
//
// # What a viewer may see
//
// Validation is done before projection; the projected body may lack required properties. Every rule (x-portreeve) of
// every schema that applies to a value is asked, and the strictest wins:
//
//   - class secret: the value leaves;
//   - permission that the viewer has not: it leaves, unless owner_may is given and the viewer owns the object;
//   - mask: it is masked, unless the viewer has the permission named by unmask;
//   - class sensitive or cardholder with neither permission nor mask: it leaves, for nobody was permitted.
//
// A member leaves with its name, an item leaves its array (at a place named by prefixItems null stands instead, so that
// the others keep theirs), and a whole body becomes null.
//
// # What a body can cost
//
// Most bodies take no memory at all but for what is written of them. One that is indexed (below) is not built either:
// judging it allocates at most about 8 times its bytes (MemoryPerByte, for a budget, counts the projected body too). No
// pair of a schema and a value is judged twice where that would
// multiply, so that work grows as the body does. A large body whose array or object is of another type than its schema's,
// or has more items or members than that allows, is still read to its end and refused as strictly, but not indexed there,
// and only those faults are told. More than Options.MaxValues values, and long texts under patterns with large counts, are
// refused (values, work). Judging never depends on time.
//
// # The engine
//
// Schemas are read straight from the document's text, each keyword as strictly as the metaschema of its dialect says, and
// only those that something is compiled from, each once. Equal ones that stand in others become one. What is
// yielded is a graph of a small form, subschema, shared by all programs of a Set, and judged by either of two engines.
// Callers see documents, pointers and bytes only.
//
// The machine (machine.go, walker.go) runs over the bytes once, reading strictly, judging, and writing what is left. Where
// alternatives (anyOf, oneOf, if, dependentSchemas, contains, not) decide what more applies to a value, it reads that
// value again for each, within a bound. It says yes or nothing.
//
// The index (parse.go, tree.go, evaluate.go, project.go) first notes where every value stands. It says what is right:
// where the machine does not say yes, it judges the body anew, and tells what is wrong with it. The two agree to the byte.
// Left to the index are programs that lead to a $dynamicRef; and values under an enum or const that lists arrays or
// objects; arrays of more than 4 kB whose items must differ and are arrays, objects, strings with escapes, or numbers
// with a fraction or exponent; texts beyond 256 bytes under large patterns; alternatives nested so that they would be read
// again too often; more than 62 alternatives of anyOf, 62 patterns of one object or 31 contains of one array; and what
// comes when a document's machine has grown to its bound.
package schema
