-- Times are microseconds since 1970 in UTC; a far future stands for "never" where a later time must win.
-- seq is the number of the change that last wrote the row; changes commit in the order of their numbers.

CREATE TABLE store (
	one      INTEGER PRIMARY KEY CHECK (one = 1),
	identity TEXT    NOT NULL,
	seq      INTEGER NOT NULL
) STRICT;
INSERT INTO store (one, identity, seq) VALUES (1, lower(hex(randomblob(16))), 0);

CREATE TABLE api_key (
	id            TEXT    PRIMARY KEY,
	seq           INTEGER NOT NULL,
	environment   TEXT    NOT NULL CHECK (environment IN ('live', 'test')),
	hash          BLOB    NOT NULL CHECK (length(hash) = 32),
	pepper        TEXT    NOT NULL,
	owner         TEXT    NOT NULL,
	purpose       TEXT    NOT NULL,
	scoped        INTEGER NOT NULL CHECK (scoped IN (0, 1)),
	scopes        TEXT    NOT NULL, -- JSON
	roles         TEXT    NOT NULL, -- JSON
	allow_ips     TEXT    NOT NULL, -- JSON
	created       INTEGER NOT NULL,
	expires       INTEGER NOT NULL,
	disabled      INTEGER NOT NULL CHECK (disabled IN (0, 1)),
	revoked       INTEGER,
	rotated_from  TEXT    UNIQUE REFERENCES api_key (id), -- unique: a key has one successor
	overlap_until INTEGER,
	last_used     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_seq ON api_key (seq);
CREATE INDEX api_key_owner ON api_key (owner, created, id);
CREATE INDEX api_key_created ON api_key (created, id);

CREATE TABLE person (
	subject          TEXT    PRIMARY KEY,
	seq              INTEGER NOT NULL,
	name             TEXT    NOT NULL UNIQUE,
	password_hash    TEXT    NOT NULL,
	roles            TEXT    NOT NULL, -- JSON
	disabled         INTEGER NOT NULL CHECK (disabled IN (0, 1)),
	created          INTEGER NOT NULL,
	changed          INTEGER NOT NULL,
	password_changed INTEGER,
	version          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX person_seq ON person (seq);

CREATE TABLE revocation (
	kind    TEXT    NOT NULL CHECK (kind IN ('jti', 'subject', 'key')),
	issuer  TEXT    NOT NULL,
	value   TEXT    NOT NULL,
	seq     INTEGER NOT NULL,
	cutoff  INTEGER NOT NULL,
	until   INTEGER NOT NULL,
	created INTEGER NOT NULL,
	PRIMARY KEY (kind, issuer, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX revocation_seq ON revocation (seq);
CREATE INDEX revocation_until ON revocation (until);
