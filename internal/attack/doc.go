// Package attack tries to break what a document promises of a running API: it calls every operation it can reach, as
// nobody, as each identity it was given and with credentials it made up, and says of every attack and operation what
// came of it: passed, failed with proof, or not decided and why.
//
// A finding rests on a control: the valid call succeeded and the call without a credential did not, the answer changed
// with the attack and not without it, the owner read the object before and after. What cannot be controlled is
// inconclusive, never passed. Every finding is made twice before it is reported.
//
// It never changes or removes what it did not make itself, unless it is told to; it never calls a host it was not
// given; and it shares no code with the gate, whose faults it would then be blind to: it reads the document itself.
package attack
