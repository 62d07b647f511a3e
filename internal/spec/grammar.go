package spec

// version is the feature set of an OpenAPI document; what 3.2 added and the gate would not enforce is refused.
type version uint8

const (
	v30 version = iota
	v31
	v32
)

func (v version) String() string { return [...]string{"3.0", "3.1", "3.2"}[v] }

// form is how a value is written.
type form uint8

const (
	anything form = iota // data: never searched for references
	text                 // a string
	prose                // text for people: a scalar that lost its quotes is only ugly
	flag
	count // a whole number, 0 or more
	number
	reference // a $ref
	entity    // an object of the specification
	list
	dict
)

// field is one field of an object of the specification.
type field struct {
	form     form
	of       string   // entity: its name
	elem     *field   // list, dict: of what
	orRef    bool     // entity: a Reference Object may stand for it
	refSince version  // the first in which it may
	orFlag   bool     // entity: true and false may stand for it
	since    version  // the first that has it
	must     bool     // its absence is an error
	should   bool     // its absence is only ugly: nothing is judged by it
	unread   bool     // it would change what is allowed, and nothing here would know
	values   []string // text: the only ones
}

func one(name string) field             { return field{form: entity, of: name} }
func refOr(name string) field           { return field{form: entity, of: name, orRef: true} }
func listOf(f field) field              { return field{form: list, elem: &f} }
func dictOf(f field) field              { return field{form: dict, elem: &f} }
func oneOf(v ...string) field           { return field{form: text, values: v} }
func (f field) required() field         { f.must = true; return f }
func (f field) wanted() field           { f.should = true; return f }
func (f field) from(v version) field    { f.since = v; return f }
func (f field) refFrom(v version) field { f.orRef, f.refSince = true, v; return f }
func (f field) notRead() field          { f.since, f.unread = v32, true; return f }
func plain(f form) field                { return field{form: f} }

// referable reports whether a Reference Object may stand for an object.
func (f field) referable(v version) bool { return f.orRef && v >= f.refSince }

func merged(a ...map[string]field) map[string]field {
	out := map[string]field{}
	for _, m := range a {
		for name, f := range m {
			out[name] = f
		}
	}
	return out
}

// object is the shape of one object of the specification.
type object struct {
	fixed   map[string]field
	pattern *field // of every other name; nil: there are none
	closed  bool   // x- fields are not permitted
}

// shown says which parameters and headers may look how (OpenAPI 3.1 §4.8.12.2).
var shown = map[string]field{
	"description": plain(prose), "required": plain(flag), "deprecated": plain(flag), "allowEmptyValue": plain(flag), "allowReserved": plain(flag),
	"style":   oneOf("matrix", "label", "simple", "form", "spaceDelimited", "pipeDelimited", "deepObject", "cookie"),
	"explode": plain(flag), "schema": one("Schema"), "example": plain(anything), "examples": dictOf(refOr("Example")), "content": dictOf(media),
}

// media is a media type; that it may be referred to is new.
var media = refOr("Media Type").refFrom(v32)

// objects are OpenAPI's (3.0.4 §4.7, 3.1.1 §4.8, 3.2.0 §4), by their names there.
var objects = map[string]object{
	"OpenAPI": {fixed: map[string]field{
		"openapi": plain(text).required(), "$self": plain(text).from(v32), "info": one("Info").required(), "jsonSchemaDialect": plain(text).from(v31),
		"servers": listOf(one("Server")), "paths": one("Paths"), "webhooks": dictOf(refOr("Path Item")).from(v31), "components": one("Components"),
		"security": listOf(one("Security Requirement")), "tags": listOf(one("Tag")), "externalDocs": one("External Documentation"),
	}},
	"Info": {fixed: map[string]field{
		"title": plain(prose).wanted(), "summary": plain(prose).from(v31), "description": plain(prose), "termsOfService": plain(text),
		"contact": one("Contact"), "license": one("License"), "version": plain(prose).wanted(),
	}},
	"Contact": {fixed: map[string]field{"name": plain(prose), "url": plain(text), "email": plain(text)}},
	"License": {fixed: map[string]field{"name": plain(prose).wanted(), "identifier": plain(text).from(v31), "url": plain(text)}},
	"Server": {fixed: map[string]field{
		"url": plain(text).required(), "description": plain(prose), "name": plain(text).from(v32), "variables": dictOf(one("Server Variable")),
	}},
	"Server Variable": {fixed: map[string]field{"enum": listOf(plain(text)), "default": plain(text).required(), "description": plain(prose)}},
	"Components": {fixed: map[string]field{
		"schemas": dictOf(one("Schema")), "responses": dictOf(refOr("Response")), "parameters": dictOf(refOr("Parameter")),
		"examples": dictOf(refOr("Example")), "requestBodies": dictOf(refOr("Request Body")), "headers": dictOf(refOr("Header")),
		"securitySchemes": dictOf(refOr("Security Scheme")), "links": dictOf(refOr("Link")), "callbacks": dictOf(refOr("Callback")),
		"pathItems": dictOf(refOr("Path Item")).from(v31), "mediaTypes": dictOf(refOr("Media Type")).from(v32),
	}},
	"Paths": {pattern: &field{form: entity, of: "Path Item"}},
	"Path Item": {fixed: map[string]field{
		"$ref": plain(reference), "summary": plain(prose), "description": plain(prose), "servers": listOf(one("Server")),
		"parameters": listOf(refOr("Parameter")), "get": one("Operation"), "put": one("Operation"), "post": one("Operation"),
		"delete": one("Operation"), "options": one("Operation"), "head": one("Operation"), "patch": one("Operation"), "trace": one("Operation"),
		"query": one("Operation").from(v32), "additionalOperations": dictOf(one("Operation")).from(v32),
	}},
	"Operation": {fixed: map[string]field{
		"tags": listOf(plain(text)), "summary": plain(prose), "description": plain(prose), "externalDocs": one("External Documentation"),
		"operationId": plain(text), "parameters": listOf(refOr("Parameter")), "requestBody": refOr("Request Body"), "responses": one("Responses"),
		"callbacks": dictOf(refOr("Callback")), "deprecated": plain(flag), "security": listOf(one("Security Requirement")), "servers": listOf(one("Server")),
	}},
	"External Documentation": {fixed: map[string]field{"description": plain(prose), "url": plain(text).wanted()}},
	"Parameter": {fixed: merged(shown, map[string]field{
		"name": plain(text).required(), "in": oneOf("path", "query", "header", "cookie", "querystring").required(),
	})},
	"Header": {fixed: shown},
	"Request Body": {fixed: map[string]field{
		"description": plain(prose), "content": dictOf(media).required(), "required": plain(flag),
	}},
	"Media Type": {fixed: map[string]field{
		"schema": one("Schema"), "example": plain(anything), "examples": dictOf(refOr("Example")), "encoding": dictOf(one("Encoding")),
		"itemSchema": one("Schema").from(v32), "prefixEncoding": listOf(one("Encoding")).notRead(), "itemEncoding": one("Encoding").notRead(),
	}},
	"Encoding": {fixed: map[string]field{
		"contentType": plain(text), "headers": dictOf(refOr("Header")), "style": shown["style"], "explode": plain(flag), "allowReserved": plain(flag),
		"encoding": dictOf(one("Encoding")).notRead(), "prefixEncoding": listOf(one("Encoding")).notRead(), "itemEncoding": one("Encoding").notRead(),
	}},
	"Responses": {pattern: &field{form: entity, of: "Response", orRef: true}},
	"Response": {fixed: map[string]field{
		"summary": plain(prose).from(v32), "description": plain(prose).wanted(), "headers": dictOf(refOr("Header")),
		"content": dictOf(media), "links": dictOf(refOr("Link")),
	}},
	"Callback": {pattern: &field{form: entity, of: "Path Item", orRef: true}},
	"Example": {fixed: map[string]field{
		"summary": plain(prose), "description": plain(prose), "value": plain(anything), "externalValue": plain(text),
		"dataValue": plain(anything).from(v32), "serializedValue": plain(text).from(v32),
	}},
	"Link": {fixed: map[string]field{
		"operationRef": plain(text), "operationId": plain(text), "parameters": dictOf(plain(anything)), "requestBody": plain(anything),
		"description": plain(prose), "server": one("Server"),
	}},
	"Tag": {fixed: map[string]field{
		"name": plain(text).required(), "description": plain(prose), "externalDocs": one("External Documentation"),
		"summary": plain(prose).from(v32), "parent": plain(text).from(v32), "kind": plain(text).from(v32),
	}},
	"Security Scheme": {fixed: map[string]field{
		"type": oneOf("apiKey", "http", "mutualTLS", "oauth2", "openIdConnect").required(), "description": plain(prose), "name": plain(text),
		"in": oneOf("query", "header", "cookie"), "scheme": plain(text), "bearerFormat": plain(text), "flows": one("OAuth Flows"),
		"openIdConnectUrl": plain(text), "oauth2MetadataUrl": plain(text).from(v32), "deprecated": plain(flag).from(v32),
	}},
	"OAuth Flows": {fixed: map[string]field{
		"implicit": one("OAuth Flow"), "password": one("OAuth Flow"), "clientCredentials": one("OAuth Flow"),
		"authorizationCode": one("OAuth Flow"), "deviceAuthorization": one("OAuth Flow").from(v32),
	}},
	"OAuth Flow": {fixed: map[string]field{
		"authorizationUrl": plain(text), "tokenUrl": plain(text), "refreshUrl": plain(text), "scopes": dictOf(plain(prose)).wanted(),
		"deviceAuthorizationUrl": plain(text).from(v32),
	}},
	"Security Requirement": {closed: true, pattern: &field{form: list, elem: &field{form: text}}},
	"Discriminator": {fixed: map[string]field{
		"propertyName": plain(text).required(), "mapping": dictOf(plain(text)), "defaultMapping": plain(text).from(v32),
	}},
	"XML": {fixed: map[string]field{
		"name": plain(text), "namespace": plain(text), "prefix": plain(text), "attribute": plain(flag), "wrapped": plain(flag), "nodeType": plain(text).from(v32),
	}},

	"Overlay": {fixed: map[string]field{
		"overlay": plain(text).required(), "info": one("Overlay Info").required(), "extends": plain(text), "actions": listOf(one("Action")).required(),
	}},
	"Overlay Info": {fixed: map[string]field{"title": plain(prose).wanted(), "version": plain(prose).wanted(), "description": plain(prose)}},
	"Action": {fixed: map[string]field{
		"target": plain(text).required(), "description": plain(prose), "update": plain(anything), "remove": plain(flag),
	}},
}
