// Package control names the controls of the security guide: the spine that ties a step which enforces, an attack
// which tests and an event which shows operation to one promise.
package control

// ID is a control's stable name in the catalogue, "authn.required".
type ID string
