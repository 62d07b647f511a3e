// Judges JSON values by the schemas of an OpenAPI 3.0 document with ajv, one question a line:
// {"at": "#/components/schemas/User", "value": {...}} is answered by {"valid": false, "errors": "..."}.
// Usage: node judge.js DOCUMENT, with NODE_PATH at ajv and ajv-formats.
'use strict';
const fs = require('fs');
const readline = require('readline');
const Ajv = require('ajv');
const formats = require('ajv-formats');

const ajv = new (Ajv.default || Ajv)({ strict: false, allErrors: true, logger: false });
(formats.default || formats)(ajv);

// Examples are data, not schemas: ajv would take an "$id" in one for a schema's name.
function withoutExamples(node, inProperties) {
  if (Array.isArray(node)) return node.map((n) => withoutExamples(n, false));
  if (node === null || typeof node !== 'object') return node;
  const out = {};
  for (const [k, v] of Object.entries(node)) {
    if (!inProperties && (k === 'example' || k === 'examples' || k === 'default')) continue;
    if (!inProperties && k === 'nullable' && node.type === undefined) continue; // OpenAPI 3.0.3: it means nothing without a type
    out[k] = k === 'enum' ? v : withoutExamples(v, k === 'properties' && !inProperties);
  }
  return out;
}
ajv.addSchema(withoutExamples(JSON.parse(fs.readFileSync(process.argv[2], 'utf8')), false), 'document');

const judges = new Map();
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { at, value } = JSON.parse(line);
  if (!judges.has(at)) judges.set(at, ajv.compile({ $ref: 'document' + encodeURI(at) }));
  const judge = judges.get(at);
  const valid = judge(value);
  const errors = valid ? '' : ajv.errorsText(judge.errors, { dataVar: '' });
  process.stdout.write(JSON.stringify({ valid, errors: errors.slice(0, 600) }) + '\n');
});
