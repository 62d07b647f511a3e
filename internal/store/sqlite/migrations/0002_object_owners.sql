-- Who made what through the gate.
CREATE TABLE object_owner (
	kind    TEXT    NOT NULL,
	id      TEXT    NOT NULL,
	issuer  TEXT    NOT NULL,
	subject TEXT    NOT NULL,
	created INTEGER NOT NULL,
	PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE object_owner_count (
	n INTEGER NOT NULL
) STRICT;
INSERT INTO object_owner_count (n) VALUES (0);
CREATE TRIGGER object_owner_more AFTER INSERT ON object_owner BEGIN UPDATE object_owner_count SET n = n + 1; END;
CREATE TRIGGER object_owner_less AFTER DELETE ON object_owner BEGIN UPDATE object_owner_count SET n = n - 1; END;
