BEGIN TRANSACTION;
CREATE TABLE grantflow_action (
	pk INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	actor VARCHAR NOT NULL, 
	claimed BOOLEAN NOT NULL, 
	verb VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	reason VARCHAR, 
	version_seen INTEGER, 
	outcome VARCHAR NOT NULL, 
	detail VARCHAR NOT NULL, 
	PRIMARY KEY (pk)
);
INSERT INTO "grantflow_action" VALUES(1,1735689600000000,'system:grantflow',0,'install','agent-app/account-0',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(2,1735689600000000,'system:grantflow',0,'install','agent-app/account-1',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(3,1735689600000000,'system:grantflow',0,'install','agent-app/account-2',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(4,1735689600000000,'system:grantflow',0,'install','agent-app/account-3',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(5,1735689600000000,'system:grantflow',0,'install','agent-app/account-4',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(6,1735689600000000,'system:grantflow',0,'install','agent-app/account-5',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(7,1735689600000000,'system:grantflow',0,'install','agent-app/account-6',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(8,1735689600000000,'system:grantflow',0,'install','agent-app/account-7',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(9,1735689600000000,'system:grantflow',0,'install','agent-app/account-8',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(10,1735689600000000,'system:grantflow',0,'install','agent-app/account-9',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(11,1735689600000000,'operator:olga',0,'force','01941f29-7c00-766d-b953-f34f08ef2a83','a drill with faults',5,'previewed','to refresh-expired');
INSERT INTO "grantflow_action" VALUES(12,1735689600000000,'operator:olga',0,'force','01941f29-7c00-766d-b953-f34f08ef2a83','a drill with faults',5,'applied','to refresh-expired');
CREATE TABLE grantflow_app (
	pk INTEGER NOT NULL, 
	public_id VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	client_id VARCHAR NOT NULL, 
	document VARCHAR NOT NULL, 
	revision INTEGER NOT NULL, 
	held_by VARCHAR, 
	held_reason VARCHAR, 
	held_at BIGINT, 
	PRIMARY KEY (pk), 
	UNIQUE (public_id), 
	UNIQUE ("key"), 
	UNIQUE (client_id)
);
INSERT INTO "grantflow_app" VALUES(1,'01941f29-7c00-7662-9ebb-cb42741d4b3a','agent-app','agent','agent-app','{"access_minutes": 30.0, "authorize_url": "", "client_id": "agent-app", "description": "Made for tests.", "key": "agent-app", "kind": "agent", "lifetime": {"days": 365.0, "policy": "fixed"}, "mode": "host", "name": "The agent app", "redirect_uris": ["https://app.example/callback"], "require_pkce": true, "secret_hashes": ["581121062f68d9e7a27d6df22a8519d2195d158426dd0cf31d9ce9dfc4fed089"], "versions": [{"blocking": false, "name": "1.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}]}',1,NULL,NULL,NULL);
CREATE TABLE grantflow_attempt (
	pk INTEGER NOT NULL, 
	public_id VARCHAR NOT NULL, 
	app_pk INTEGER NOT NULL, 
	installation_pk INTEGER, 
	kind VARCHAR NOT NULL, 
	step INTEGER NOT NULL, 
	actor_kind VARCHAR NOT NULL, 
	actor_id VARCHAR NOT NULL, 
	subject_kind VARCHAR NOT NULL, 
	subject_id VARCHAR NOT NULL, 
	label VARCHAR NOT NULL, 
	account VARCHAR, 
	entry_point VARCHAR NOT NULL, 
	app_version VARCHAR NOT NULL, 
	requested VARCHAR NOT NULL, 
	agreed VARCHAR NOT NULL, 
	client_id VARCHAR NOT NULL, 
	redirect_uri VARCHAR NOT NULL, 
	app_state BLOB, 
	code_hash BLOB, 
	code_challenge VARCHAR, 
	binding_hash BLOB, 
	family VARCHAR, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	outcome VARCHAR, 
	closed_at BIGINT, 
	PRIMARY KEY (pk), 
	UNIQUE (public_id)
);
INSERT INTO "grantflow_attempt" VALUES(1,'01941f29-7c00-7339-8a35-784e1265c65a',1,1,'initial',3,'agent','bob','agent','bob','default','account-0','','1.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'9D756A63554AEFA4748F04989069775F0C1F508A08EB1A1277096C5F8B8BE793','8fOrQj7DaUI3HK3Uk143DtpW8nS2lGZ_WtP6VDDEpH4',X'7186940A8B6A9AFB99AB6907BE7C584078559C21CFE3A70C7F4536EA6E9532CB','01941f29-7c00-750c-a129-fbb9b37dfcad',1735689600000000,1735689660000000,'completed',1735689600000000);
INSERT INTO "grantflow_attempt" VALUES(2,'01941f29-7c00-7034-99dd-95554a3c8bf3',1,2,'initial',3,'agent','bob','agent','bob','default','account-1','','1.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'A6095EFB49958FA7BB7ED475B4A444DBF815592C52EC0244966298E2036492A4','fVesRkRqgmbji-gTiV0twrBazXxXG5Q3gEi8xwft3Ag',X'248C0CCA58DB3D3D0D10B6E45D9FC5B185A55A4A619470B164C63C77461D44ED','01941f29-7c00-7bed-a68b-582b6facfd7d',1735689600000000,1735689660000000,'completed',1735689600000000);
INSERT INTO "grantflow_attempt" VALUES(3,'01941f29-7c00-78c7-a4b2-ce71ccd0988d',1,3,'initial',3,'agent','bob','agent','bob','default','account-2','','1.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'EA94EA43E266AA801CEC8513E7D5283165BD7AF0BBB277EC494F15466F665B73','Y7nPrYdDRLIRZZFMCz4jpgJjzoADK2lqzgvG5TnLiho',X'2013D0F88A1948D80E20BA4CF462CFF0B3F4E064BA423050B8548971470C52E4','01941f29-7c00-75aa-bf03-142e6d1cca77',1735689600000000,1735689660000000,'completed',1735689600000000);
INSERT INTO "grantflow_attempt" VALUES(4,'01941f29-7c00-7c5d-a60f-a3d41cd64cef',1,4,'initial',3,'agent','bob','agent','bob','default','account-3','','1.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'F675E72B9DDC31995F51617AADE49BF1223889347D64DA32110719C721324B85','5Guex_iBUI1oifg-FGVHIOvKf6gFzjCNLQe_ZhulbKQ',X'CAA8E56C48A09F84F85DAF6B69F33557B1DBF2634551B3C1271D2D4903D5E178','01941f29-7c00-7f8c-b225-a75c9948c94e',1735689600000000,1735689660000000,'completed',1735689600000000);
INSERT INTO "grantflow_attempt" VALUES(5,'01941f29-7c00-758d-b873-e0ecf4f549f9',1,NULL,'initial',1,'agent','bob','agent','bob','default',NULL,'','1.0','people.read tickets.read tickets.write','','agent-app','https://app.example/callback',NULL,NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',X'1A5EDA3D6B20F4C281054547A8167EF964FAD08A741C0F936A1E0850B1366905',NULL,1735689600000000,1735690200000000,NULL,NULL);
CREATE TABLE grantflow_consent (
	pk INTEGER NOT NULL, 
	app_pk INTEGER NOT NULL, 
	account VARCHAR NOT NULL, 
	subject_kind VARCHAR NOT NULL, 
	subject_id VARCHAR NOT NULL, 
	actor_kind VARCHAR NOT NULL, 
	actor_id VARCHAR NOT NULL, 
	app_version VARCHAR NOT NULL, 
	requested VARCHAR NOT NULL, 
	approved VARCHAR NOT NULL, 
	refused VARCHAR NOT NULL, 
	given_at BIGINT NOT NULL, 
	voided_at BIGINT, 
	PRIMARY KEY (pk)
);
INSERT INTO "grantflow_consent" VALUES(1,1,'account-0','agent','bob','agent','bob','1.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','',1735689600000000,NULL);
INSERT INTO "grantflow_consent" VALUES(2,1,'account-1','agent','bob','agent','bob','1.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','',1735689600000000,NULL);
INSERT INTO "grantflow_consent" VALUES(3,1,'account-2','agent','bob','agent','bob','1.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','',1735689600000000,NULL);
INSERT INTO "grantflow_consent" VALUES(4,1,'account-3','agent','bob','agent','bob','1.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','',1735689600000000,NULL);
CREATE TABLE grantflow_count (
	app_pk INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	slot INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	PRIMARY KEY (app_pk, state, slot)
);
INSERT INTO "grantflow_count" VALUES(1,'account-selected',0,0);
INSERT INTO "grantflow_count" VALUES(1,'consented',0,0);
INSERT INTO "grantflow_count" VALUES(1,'active',0,3);
INSERT INTO "grantflow_count" VALUES(1,'refresh-expired',0,1);
CREATE TABLE grantflow_credential (
	hash BLOB NOT NULL, 
	installation_pk INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	family VARCHAR NOT NULL, 
	generation INTEGER NOT NULL, 
	client_id VARCHAR NOT NULL, 
	expires_at BIGINT, 
	spent_at BIGINT, 
	PRIMARY KEY (hash)
)
 WITHOUT ROWID

;
INSERT INTO "grantflow_credential" VALUES(X'0BFBB30BF306CE69FDCDFE8CA5D93ACF03CD4232223BB8F56BC97A195F939082',4,'access','01941f29-7c00-7f8c-b225-a75c9948c94e',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'30C77EA1B4BF50080946EB4AAF70ED62FD062A479C813158526B45B1E7E6A6CE',2,'refresh','01941f29-7c00-7bed-a68b-582b6facfd7d',1,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'685808413C401814455FA78156F22477B93ADE675A0C86C3FDD72BA41D80E0E1',2,'access','01941f29-7c00-7bed-a68b-582b6facfd7d',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'6BAE2A45E0EC5BF570FAA25CBA735CDD5BB06C96912F82CC14C5734BCEE3D639',1,'refresh','01941f29-7c00-750c-a129-fbb9b37dfcad',1,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'718DB191103ECC1C78FCCB257D644C39A0992107FC470A39F386C107BFD05E4A',3,'refresh','01941f29-7c00-75aa-bf03-142e6d1cca77',2,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'933063D4175C04075F536FBAF0C9B242202264248F66360BCB2C95D41863AB62',3,'access','01941f29-7c00-75aa-bf03-142e6d1cca77',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'CA7A3040E6C9E1D933AE651AD90B12DCB4820B173DB66B53277336329934AA89',3,'access','01941f29-7c00-75aa-bf03-142e6d1cca77',2,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'D44014EA3D99B9FD90923BE10BEDE69AC732583B14CCDD73412C487C933D3526',1,'access','01941f29-7c00-750c-a129-fbb9b37dfcad',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'F13F2B955A1D69DA58F3EDFA090B68D9D6C9FBB99AF960A227E95525637200F1',3,'refresh','01941f29-7c00-75aa-bf03-142e6d1cca77',1,'agent-app',1767225600000000,1735689600000000);
INSERT INTO "grantflow_credential" VALUES(X'FE76D6DD40ED0312FAD18370CCF4AEC9531EF7E6A34696E63BD66671C8B0830C',4,'refresh','01941f29-7c00-7f8c-b225-a75c9948c94e',1,'agent-app',1767225600000000,NULL);
CREATE TABLE grantflow_installation (
	pk INTEGER NOT NULL, 
	public_id VARCHAR NOT NULL, 
	app_pk INTEGER NOT NULL, 
	account VARCHAR NOT NULL, 
	subject_kind VARCHAR NOT NULL, 
	subject_id VARCHAR NOT NULL, 
	label VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	reason VARCHAR, 
	version INTEGER NOT NULL, 
	generation INTEGER NOT NULL, 
	due_at BIGINT, 
	deadline_at BIGINT, 
	grant_revoked BOOLEAN NOT NULL, 
	granted VARCHAR NOT NULL, 
	identity VARCHAR, 
	definition VARCHAR NOT NULL, 
	definition_version INTEGER NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	bucket INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	entered_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	forced BOOLEAN NOT NULL, 
	suspended_by VARCHAR, 
	suspended_at BIGINT, 
	suspended_why VARCHAR, 
	quarantined BOOLEAN NOT NULL, 
	PRIMARY KEY (pk), 
	CHECK (version > 0), 
	UNIQUE (public_id)
);
INSERT INTO "grantflow_installation" VALUES(1,'01941f29-7c00-7c7b-87a1-c2c2b5eaf29e',1,'account-0','agent','bob','default','active',NULL,5,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',166,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(2,'01941f29-7c00-766d-b953-f34f08ef2a83',1,'account-1','agent','bob','default','refresh-expired','operator',6,1,NULL,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',48,1735689600000000,1735689600000000,1735689600000000,1,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(3,'01941f29-7c00-7080-b3fc-87662618c077',1,'account-2','agent','bob','default','active',NULL,5,2,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',138,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(4,'01941f29-7c00-7e16-9b64-779907f75614',1,'account-3','agent','bob','default','active',NULL,5,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',28,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
CREATE TABLE grantflow_outbox (
	pk INTEGER NOT NULL, 
	installation_pk INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	body VARCHAR NOT NULL, 
	delivered_at BIGINT, 
	PRIMARY KEY (pk)
);
INSERT INTO "grantflow_outbox" VALUES(1,1,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-0", "subject": "agent:bob", "state": "active", "reason": null}',NULL);
INSERT INTO "grantflow_outbox" VALUES(2,2,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-1", "subject": "agent:bob", "state": "active", "reason": null}',NULL);
INSERT INTO "grantflow_outbox" VALUES(3,3,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-2", "subject": "agent:bob", "state": "active", "reason": null}',NULL);
INSERT INTO "grantflow_outbox" VALUES(4,4,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-3", "subject": "agent:bob", "state": "active", "reason": null}',NULL);
INSERT INTO "grantflow_outbox" VALUES(5,2,'installation.forced',6,1735689600000000,'{"event": "force", "account": "account-1", "subject": "agent:bob", "state": "refresh-expired", "reason": "operator"}',NULL);
CREATE TABLE grantflow_parent (
	pk INTEGER NOT NULL, 
	app_pk INTEGER NOT NULL, 
	account VARCHAR NOT NULL, 
	app_version VARCHAR NOT NULL, 
	available BOOLEAN NOT NULL, 
	revision INTEGER NOT NULL, 
	installed_at BIGINT NOT NULL, 
	removed_at BIGINT, 
	suspended_by VARCHAR, 
	suspended_at BIGINT, 
	suspended_why VARCHAR, 
	PRIMARY KEY (pk), 
	UNIQUE (app_pk, account)
);
INSERT INTO "grantflow_parent" VALUES(1,1,'account-0','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(2,1,'account-1','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(3,1,'account-2','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(4,1,'account-3','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(5,1,'account-4','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(6,1,'account-5','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(7,1,'account-6','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(8,1,'account-7','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(9,1,'account-8','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(10,1,'account-9','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
CREATE TABLE grantflow_quarantine (
	installation_pk INTEGER NOT NULL, 
	reason VARCHAR NOT NULL, 
	since BIGINT NOT NULL, 
	original VARCHAR NOT NULL, 
	PRIMARY KEY (installation_pk)
);
CREATE TABLE grantflow_schema (
	version INTEGER NOT NULL, 
	made_at BIGINT NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "grantflow_schema" VALUES(1,1735689600000000);
CREATE TABLE grantflow_token_set (
	installation_pk INTEGER NOT NULL, 
	family VARCHAR NOT NULL, 
	generation INTEGER NOT NULL, 
	scopes VARCHAR NOT NULL, 
	issued_at BIGINT NOT NULL, 
	access_expires_at BIGINT NOT NULL, 
	refresh_expires_at BIGINT, 
	authorization_expires_at BIGINT, 
	PRIMARY KEY (installation_pk)
);
INSERT INTO "grantflow_token_set" VALUES(1,'01941f29-7c00-750c-a129-fbb9b37dfcad',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL);
INSERT INTO "grantflow_token_set" VALUES(2,'01941f29-7c00-7bed-a68b-582b6facfd7d',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL);
INSERT INTO "grantflow_token_set" VALUES(3,'01941f29-7c00-75aa-bf03-142e6d1cca77',2,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL);
INSERT INTO "grantflow_token_set" VALUES(4,'01941f29-7c00-7f8c-b225-a75c9948c94e',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL);
CREATE TABLE grantflow_transition (
	pk INTEGER NOT NULL, 
	installation_pk INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	source VARCHAR, 
	event VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	actor VARCHAR NOT NULL, 
	at BIGINT NOT NULL, 
	reason VARCHAR, 
	forced BOOLEAN NOT NULL, 
	run_id VARCHAR, 
	idempotency_key VARCHAR, 
	fingerprint VARCHAR NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE (installation_pk, version)
);
INSERT INTO "grantflow_transition" VALUES(1,1,1,NULL,'installed','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(2,1,2,'unauthorized','authorize','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(3,1,3,'unauthorized','select_account','account-selected','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(4,1,4,'account-selected','agree','consented','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(5,1,5,'consented','exchange_ok','active','app:agent-app',1735689600000000,'completed',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(6,2,1,NULL,'installed','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(7,2,2,'unauthorized','authorize','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(8,2,3,'unauthorized','select_account','account-selected','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(9,2,4,'account-selected','agree','consented','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(10,2,5,'consented','exchange_ok','active','app:agent-app',1735689600000000,'completed',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(11,3,1,NULL,'installed','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(12,3,2,'unauthorized','authorize','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(13,3,3,'unauthorized','select_account','account-selected','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(14,3,4,'account-selected','agree','consented','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(15,3,5,'consented','exchange_ok','active','app:agent-app',1735689600000000,'completed',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(16,4,1,NULL,'installed','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(17,4,2,'unauthorized','authorize','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(18,4,3,'unauthorized','select_account','account-selected','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(19,4,4,'account-selected','agree','consented','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(20,4,5,'consented','exchange_ok','active','app:agent-app',1735689600000000,'completed',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(21,2,6,'active','force','refresh-expired','operator:olga',1735689600000000,'a drill with faults',1,NULL,NULL,'b6a50cbd315f8c0f');
CREATE UNIQUE INDEX grantflow_attempt_code ON grantflow_attempt (code_hash) WHERE code_hash IS NOT NULL;
CREATE INDEX grantflow_attempt_installation ON grantflow_attempt (installation_pk, outcome);
CREATE INDEX grantflow_attempt_loose ON grantflow_attempt (expires_at) WHERE installation_pk IS NULL AND outcome IS NULL;
CREATE INDEX grantflow_consent_subject ON grantflow_consent (app_pk, account, subject_kind, subject_id, actor_kind, actor_id);
CREATE INDEX grantflow_credential_installation ON grantflow_credential (installation_pk);
CREATE INDEX grantflow_installation_account ON grantflow_installation (account, pk);
CREATE INDEX grantflow_installation_app ON grantflow_installation (app_pk, state, pk);
CREATE INDEX grantflow_installation_deadline ON grantflow_installation (deadline_at, pk) WHERE deadline_at IS NOT NULL;
CREATE INDEX grantflow_installation_due ON grantflow_installation (due_at, app_pk) WHERE due_at IS NOT NULL;
CREATE INDEX grantflow_installation_entered ON grantflow_installation (entered_at, pk);
CREATE INDEX grantflow_installation_forced ON grantflow_installation (pk) WHERE forced = 1;
CREATE UNIQUE INDEX grantflow_installation_natural ON grantflow_installation (app_pk, account, subject_kind, subject_id, label) WHERE state <> 'uninstalled';
CREATE INDEX grantflow_installation_quarantined ON grantflow_installation (pk) WHERE quarantined = 1;
CREATE INDEX grantflow_installation_reason ON grantflow_installation (reason, pk) WHERE reason IS NOT NULL;
CREATE INDEX grantflow_installation_state ON grantflow_installation (state, pk);
CREATE INDEX grantflow_installation_subject ON grantflow_installation (subject_id, pk);
CREATE INDEX grantflow_installation_suspended ON grantflow_installation (pk) WHERE suspended_by IS NOT NULL;
CREATE INDEX grantflow_outbox_pending ON grantflow_outbox (pk) WHERE delivered_at IS NULL;
CREATE UNIQUE INDEX grantflow_transition_key ON grantflow_transition (installation_pk, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TRIGGER grantflow_transition_no_update BEFORE UPDATE ON grantflow_transition BEGIN SELECT RAISE(ABORT, 'grantflow_transition is append-only'); END;
CREATE TRIGGER grantflow_transition_no_delete BEFORE DELETE ON grantflow_transition BEGIN SELECT RAISE(ABORT, 'grantflow_transition is append-only'); END;
CREATE TRIGGER grantflow_action_no_update BEFORE UPDATE ON grantflow_action BEGIN SELECT RAISE(ABORT, 'grantflow_action is append-only'); END;
CREATE TRIGGER grantflow_action_no_delete BEFORE DELETE ON grantflow_action BEGIN SELECT RAISE(ABORT, 'grantflow_action is append-only'); END;
COMMIT;
