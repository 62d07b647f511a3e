package attack

// Attacks are all there are, in the order they are tried: what uses up a limit of the target comes last, and what the
// others' answers show after them.
var Attacks = []Attack{
	// Who are you?
	missingCredential,
	garbageCredential,
	algNone,
	brokenSignature,
	weakSecret,
	expiredToken,
	endlessToken,
	foreignAudience,
	singleFactor,
	identityHeader,
	bypass,

	// What may you do, and with what?
	bolaRead,
	bolaList,
	bolaWrite,
	bflaRole,
	bflaVerb,
	massAssignment,
	forbiddenField,
	unmaskedField,
	secretField,

	// What do you bring?
	negativeInput,
	undeclaredParameter,
	ambiguousBody,
	oversizedBody,
	sqlInjection,
	reflectedXSS,

	// What is said to strangers?
	corsReflection,
	corsPreflight,
	undocumentedEndpoint,
	oldVersion,
	userEnumeration,
	errorLeak,
	undeclaredField,
	missingHeaders,
	missingCSP,
	missingHSTS,
	banner,
	missingChallenge,
	untraceableRefusal,

	// How often?
	operationLimit,
	loginLimit,
	principalLimit,
	limitEvasion,
	credentialGuessing,
}
