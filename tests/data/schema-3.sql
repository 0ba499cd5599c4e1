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
INSERT INTO "grantflow_action" VALUES(1,1735689600000000,'operator:olga',0,'hold','held-app','a drill with faults',NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(2,1735689600000000,'system:grantflow',0,'install','agent-app/account-0',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(3,1735689600000000,'system:grantflow',0,'install','agent-app/account-1',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(4,1735689600000000,'system:grantflow',0,'install','agent-app/account-2',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(5,1735689600000000,'system:grantflow',0,'install','agent-app/account-3',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(6,1735689600000000,'system:grantflow',0,'install','agent-app/account-4',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(7,1735689600000000,'system:grantflow',0,'install','agent-app/account-5',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(8,1735689600000000,'system:grantflow',0,'install','agent-app/account-6',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(9,1735689600000000,'system:grantflow',0,'install','agent-app/account-7',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(10,1735689600000000,'system:grantflow',0,'install','agent-app/account-9',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(11,1735689600000000,'system:grantflow',0,'suspend','agent-app/account-9','a drill with faults',NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(12,1735689600000000,'system:grantflow',0,'install','mail/account-0',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(13,1735689600000000,'system:grantflow',0,'install','mail/account-1',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(14,1735689600000000,'system:grantflow',0,'install','mail/account-2',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(15,1735689600000000,'system:grantflow',0,'install','mail/account-3',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(16,1735689600000000,'system:grantflow',0,'install','mail/account-4',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(17,1735689600000000,'operator:olga',0,'force','01941f29-7c00-7680-87b3-f9a94b8cde0c','a drill with faults',3,'previewed','to refresh-expired');
INSERT INTO "grantflow_action" VALUES(18,1735689600000000,'operator:olga',0,'force','01941f29-7c00-7680-87b3-f9a94b8cde0c','a drill with faults',3,'applied','to refresh-expired');
INSERT INTO "grantflow_action" VALUES(19,1735689600000000,'system:grantflow',0,'install','bulk-app/account-0',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(20,1735689600000000,'system:grantflow',0,'install','bulk-app/account-1',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(21,1735689600000000,'system:grantflow',0,'install','bulk-app/account-2',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(22,1735689600000000,'system:grantflow',0,'install','bulk-app/account-3',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(23,1735689600000000,'system:grantflow',0,'install','bulk-app/account-4',NULL,NULL,'applied','');
INSERT INTO "grantflow_action" VALUES(24,1735689600000000,'operator:olga',0,'bulk-suspend','app:bulk-app account:account-0,account-1','a drill with faults',NULL,'previewed','suspend on 2 row(s), 0 left out');
INSERT INTO "grantflow_action" VALUES(25,1735689600000000,'operator:olga',0,'bulk-suspend','app:bulk-app account:account-0,account-1','a drill with faults',NULL,'started','job 01941f29-7c00-7583-a94e-5fa74d384f44: suspend on 2 row(s), 0 left out');
INSERT INTO "grantflow_action" VALUES(26,1735689600000000,'operator:olga',0,'bulk-suspend','app:bulk-app account:account-2,account-3','a drill with faults',NULL,'previewed','suspend on 2 row(s), 0 left out');
INSERT INTO "grantflow_action" VALUES(27,1735689600000000,'operator:olga',0,'bulk-suspend','app:bulk-app account:account-2,account-3','a drill with faults',NULL,'started','job 01941f29-7c00-77b3-8af8-a7a45fc6f4b1: suspend on 2 row(s), 0 left out');
INSERT INTO "grantflow_action" VALUES(28,1735689600000000,'operator:olga',0,'bulk-suspend','app:bulk-app account:account-4','a drill with faults',NULL,'previewed','suspend on 1 row(s), 0 left out');
INSERT INTO "grantflow_action" VALUES(29,1735689600000000,'operator:olga',0,'bulk-suspend','app:bulk-app account:account-4','a drill with faults',NULL,'started','job 01941f29-7c00-74aa-b3a4-a27c34803aff: suspend on 1 row(s), 0 left out');
INSERT INTO "grantflow_action" VALUES(30,1735689600000000,'operator:olga',0,'pause-job','01941f29-7c00-77b3-8af8-a7a45fc6f4b1','a drill with faults',NULL,'applied','now paused');
INSERT INTO "grantflow_action" VALUES(31,1735689600000000,'operator:olga',0,'force','01941f29-7c00-721c-a26b-a2337afa6ccb','a drill with faults',6,'previewed','to refresh-expired');
INSERT INTO "grantflow_action" VALUES(32,1735689600000000,'operator:olga',0,'force','01941f29-7c00-721c-a26b-a2337afa6ccb','a drill with faults',6,'applied','to refresh-expired');
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
	secrets VARCHAR NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE (public_id), 
	UNIQUE ("key"), 
	UNIQUE (client_id)
);
INSERT INTO "grantflow_app" VALUES(1,'01941f29-7c00-7a3c-a5a1-1af056493ca3','agent-app','agent','agent-app','{"access_minutes": 30.0, "authorize_url": "", "client_id": "agent-app", "description": "Made for tests.", "key": "agent-app", "kind": "agent", "lifetime": {"counts_from": "issue", "days": 365.0, "policy": "fixed"}, "mode": "host", "name": "The agent app", "redirect_uris": ["https://app.example/callback"], "require_pkce": true, "secret_hashes": ["581121062f68d9e7a27d6df22a8519d2195d158426dd0cf31d9ce9dfc4fed089"], "server": null, "versions": [{"blocking": false, "name": "1.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}, {"blocking": false, "name": "2.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}]}',1,NULL,NULL,NULL,'[]');
INSERT INTO "grantflow_app" VALUES(2,'01941f29-7c00-77f2-b42f-afff53402b00','external-app','external','external-app','{"access_minutes": 30.0, "authorize_url": "", "client_id": "external-app", "description": "Made for tests.", "key": "external-app", "kind": "external", "lifetime": {"counts_from": "issue", "days": 365.0, "policy": "fixed"}, "mode": "host", "name": "The external app", "redirect_uris": ["https://app.example/callback"], "require_pkce": true, "secret_hashes": ["581121062f68d9e7a27d6df22a8519d2195d158426dd0cf31d9ce9dfc4fed089"], "server": null, "versions": [{"blocking": false, "name": "1.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}]}',1,NULL,NULL,NULL,'[]');
INSERT INTO "grantflow_app" VALUES(3,'01941f29-7c00-7643-981f-d87e1dbc0745','held-app','agent','held-app','{"access_minutes": 30.0, "authorize_url": "", "client_id": "held-app", "description": "Made for tests.", "key": "held-app", "kind": "agent", "lifetime": {"counts_from": "issue", "days": 365.0, "policy": "fixed"}, "mode": "host", "name": "The agent app", "redirect_uris": ["https://app.example/callback"], "require_pkce": true, "secret_hashes": ["581121062f68d9e7a27d6df22a8519d2195d158426dd0cf31d9ce9dfc4fed089"], "server": null, "versions": [{"blocking": false, "name": "1.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}]}',2,'operator:olga','a drill with faults',1735689600000000,'[]');
INSERT INTO "grantflow_app" VALUES(4,'01941f29-7c00-7452-a383-725df1456bfc','mail','agent','mail','{"access_minutes": 30.0, "authorize_url": "", "client_id": "mail", "description": "Made for tests.", "key": "mail", "kind": "agent", "lifetime": {"counts_from": "issue", "days": 365.0, "policy": "fixed"}, "mode": "client", "name": "The agent app", "redirect_uris": ["https://app.example/callback"], "require_pkce": true, "secret_hashes": [], "server": {"auth_method": "client_secret_basic", "authorization_endpoint": "https://server.example/authorize", "extra": [], "issuer": "https://server.example", "pkce": true, "resource": "", "revocation_endpoint": "https://server.example/revoke", "sends_iss": true, "token_endpoint": "https://server.example/token"}, "versions": [{"blocking": false, "name": "1.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}]}',1,NULL,NULL,NULL,'[["azE6uQIAN3uctUxaoV+ceCtQWKE0OczqeuqbhrLQ5BZjt6eJV7Xv/mk7DEdQ9klF+2+Qe+CeT/s=", 1735689600000000]]');
INSERT INTO "grantflow_app" VALUES(5,'01941f29-7c00-74c9-b9ff-d47e20da3e6d','bulk-app','account','bulk-app','{"access_minutes": 30.0, "authorize_url": "", "client_id": "bulk-app", "description": "Made for tests.", "key": "bulk-app", "kind": "account", "lifetime": {"counts_from": "issue", "days": 365.0, "policy": "fixed"}, "mode": "host", "name": "The account app", "redirect_uris": ["https://app.example/callback"], "require_pkce": true, "secret_hashes": ["581121062f68d9e7a27d6df22a8519d2195d158426dd0cf31d9ce9dfc4fed089"], "server": null, "versions": [{"blocking": false, "name": "1.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}]}',1,NULL,NULL,NULL,'[]');
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
	state_hash BLOB, 
	state_used_at BIGINT, 
	sealed BLOB, 
	issuer VARCHAR, 
	PRIMARY KEY (pk), 
	UNIQUE (public_id)
);
INSERT INTO "grantflow_attempt" VALUES(1,'01941f29-7c00-7af9-93c8-b90c2606d113',1,1,'initial',3,'agent','bob','agent','bob','default','account-0','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'9E0FC20D48F069661548599EA62D61B9E3629AD3603B6101FA0318099D82B830','LMPUWCw5Jd0WkRjLNY1-OtViIIYYDgRWcvvXZlVeaVU',X'01F74CC74DF5C46EAC8BE52B80E39BF5219931C130D66E1D8C8BE129890BF0F2','01941f29-7c00-719c-990e-055ce4e8317c',1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(2,'01941f29-7c00-7ba8-b281-cab022c66bfd',1,2,'initial',3,'agent','bob','agent','bob','default','account-1','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'CC9351893E4755ABF9809224253A28D58D2E21B28E25201DDD4D4309B35DA2CF','s4hsn31ee6mB4M-q-gkoxsDzO2EhNab_l1uAfl4zPds',X'09D4647ABA5CB243775885624594711B6D9C81118475E8592CF401C7FD5728AA','01941f29-7c00-7f3e-b06c-dbf421bce8eb',1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(3,'01941f29-7c00-7477-9d96-9075d3ff945d',1,3,'initial',3,'agent','bob','agent','bob','default','account-2','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'CD0B4A8A35C174F5F39CB104EDB76F2CB4B1A69380B3A61ECCB788E13FA147B9','q2E3HfPGJPEn1kZt5BiwBChlp2ctZojHrnV6vmZvfxg',X'78F5C9B37FF14B0A224EC2F3A40DBD6FE5B4AAE84FFCD32265BD2AE12ADE8346','01941f29-7c00-7b8b-ac73-d1d94f567150',1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(4,'01941f29-7c00-7ab2-b179-1869d4f34e02',1,4,'initial',3,'agent','bob','agent','bob','default','account-3','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'DE00DE495838F9FA7C060B34664EAB375080C75A34366C77B773DED13A7BFE3F','pG_AJYEMGNCksxCIordbjB875u3xmL_Wf7-woyUXsPA',X'3ECFEFDFF4360967CA5913B19CA04A645043330C41DB85FD90AA09AA3DDC7634','01941f29-7c00-7006-8748-c8389f978ecf',1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(5,'01941f29-7c00-75b3-b639-2b1e552c0883',1,5,'initial',3,'agent','bob','agent','bob','default','account-4','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'0D04AFF2FAE5B3D8C070527C09993BADEFEAB9917F4FDC8FDEB2B3D6B93B355F','C7Q9ZO85cy1Ww60_mekSo5YRc_lgkFxs1NRzLB1Z9eI',X'65418266A415706B08548669A20DFA9F8F08DDD619439E83B5C776ECCAD8B921','01941f29-7c00-7524-a9b4-2fa4464274e7',1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(6,'01941f29-7c00-703e-9aaa-641be688b7fc',1,2,'scope-upgrade',1,'agent','bob','agent','bob','default','account-1','','2.0','people.read tickets.read tickets.write','','agent-app','https://app.example/callback',NULL,NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',X'FB0DE694DA721162E755CACA65E1BE140F388606B4AAAA1B2A535EDFE292CEBC',NULL,1735689600000000,1735690200000000,'superseded',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(7,'01941f29-7c00-71da-8d68-14c2cbe2efaa',1,6,'initial',3,'agent','bob','agent','bob','default','account-5','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'822EF070B18D75AED942C515BBBEB55FBFFCC3382D9EA5BE5857E6340E841F0E','V9h3xs_Eg5tCjAhmD-WH7fAOm3R3cuR-EZadet664kM',X'2CC42DB32E1C804A39275C1FECCBEB6D79B7AB8576ACF081B9CF11184385BDFE',NULL,1735689600000000,1735689660000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(8,'01941f29-7c00-7806-bd54-4c5f92a40f5d',1,7,'initial',2,'agent','bob','agent','bob','default','account-6','','2.0','people.read tickets.read tickets.write','','agent-app','https://app.example/callback',NULL,NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',X'DA31BE052756D4D81EA56AE847502BB7470798CBF062A5168681356281139614',NULL,1735689600000000,1735690200000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(9,'01941f29-7c00-7ae2-8eca-a67af68a1bd3',1,NULL,'initial',1,'agent','bob','agent','bob','default',NULL,'','2.0','people.read tickets.read tickets.write','','agent-app','https://app.example/callback',NULL,NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',X'9C06574B08E2A664A2F745DFE44116CFFAFD61A8253682E174099B7E79EAD9AE',NULL,1735689600000000,1735690200000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(10,'01941f29-7c00-70ca-bc7b-601b37c9c825',1,NULL,'initial',1,'agent','bob','agent','bob','default',NULL,'','2.0','people.read tickets.read tickets.write','','agent-app','https://app.example/callback',NULL,NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',X'6681D8B284983D26B5940CBC7909604D6C956636F27B1C55DBC1964D766AAC8A',NULL,1735689600000000,1735690200000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(11,'01941f29-7c00-7b2a-9b65-769a8005b4f6',2,NULL,'initial',1,'user','uma','user','uma','default',NULL,'','1.0','people.read tickets.read tickets.write','','external-app','https://app.example/callback',NULL,NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',X'D27C26AFC8E0B227E900C186CF5DC6D41FFA9FEAB95617167C6216F2B16F29B6',NULL,1735689600000000,1735690200000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(12,'01941f29-7c00-7257-af31-2bb8da7903f0',4,8,'initial',3,'system','grantflow','agent','bob','default','account-0','adopt','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,NULL,NULL,1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(13,'01941f29-7c00-7fb1-ba74-2d05e8dcd856',4,9,'initial',3,'system','grantflow','agent','bob','default','account-1','adopt','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,NULL,NULL,1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(14,'01941f29-7c00-7139-876b-4ee574971170',4,10,'initial',3,'system','grantflow','agent','bob','default','account-2','adopt','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,NULL,NULL,1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(15,'01941f29-7c00-7e63-a545-c1b0cdc9b84d',4,11,'initial',3,'system','grantflow','agent','bob','default','account-3','adopt','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,NULL,NULL,1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(16,'01941f29-7c00-774c-ae7b-b7be083ee3bd',4,12,'initial',3,'system','grantflow','agent','bob','default','account-4','adopt','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,NULL,NULL,1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(17,'01941f29-7c00-717c-8d3c-275ed132d23e',4,9,'scope-upgrade',1,'agent','bob','agent','bob','default','account-1','','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,X'249F050A306E933072F52AEA193AA35B80A0BE0A787F9DA9BDFBF2C34AE91192',NULL,1735689600000000,1735690200000000,NULL,NULL,X'23D6F7515BE0011832A24822395B780250029EC001485C83ED725FA9C52E7CDC',NULL,X'6B313A3BABE8E964BA62AA0F94D527F891928E4C68F831862491BAE95FC238CDA8B247701C4EFD7A07C2F9795DEC9A46E6A7DAC4C74530A172F16B3F6F1BBD42F6778CE9DC757F306F798517E7285C33D6260AE7190C1A5119A6F5FDF3617DDEA096E6DA075104CBA2A3586B331AF010FBD8B6CB592C97B5555BD205C6F8','https://server.example');
CREATE TABLE grantflow_beat (
	process VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	pid INTEGER NOT NULL, 
	started_at BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	note VARCHAR NOT NULL, 
	PRIMARY KEY (process)
);
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
INSERT INTO "grantflow_consent" VALUES(1,1,'account-0','agent','bob','agent','bob','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','',1735689600000000,NULL);
INSERT INTO "grantflow_consent" VALUES(2,1,'account-1','agent','bob','agent','bob','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','',1735689600000000,NULL);
INSERT INTO "grantflow_consent" VALUES(3,1,'account-2','agent','bob','agent','bob','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','',1735689600000000,NULL);
INSERT INTO "grantflow_consent" VALUES(4,1,'account-3','agent','bob','agent','bob','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','',1735689600000000,NULL);
INSERT INTO "grantflow_consent" VALUES(5,1,'account-4','agent','bob','agent','bob','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','',1735689600000000,NULL);
INSERT INTO "grantflow_consent" VALUES(6,1,'account-5','agent','bob','agent','bob','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','',1735689600000000,NULL);
CREATE TABLE grantflow_control (
	name VARCHAR NOT NULL, 
	at BIGINT NOT NULL, 
	"by" VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	detail VARCHAR NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE grantflow_count (
	app_pk INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	slot INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	PRIMARY KEY (app_pk, state, slot)
);
INSERT INTO "grantflow_count" VALUES(1,'account-selected',0,1);
INSERT INTO "grantflow_count" VALUES(1,'consented',0,1);
INSERT INTO "grantflow_count" VALUES(1,'active',0,4);
INSERT INTO "grantflow_count" VALUES(4,'active',0,3);
INSERT INTO "grantflow_count" VALUES(4,'refresh-expired',0,1);
INSERT INTO "grantflow_count" VALUES(4,'unauthorized',0,1);
INSERT INTO "grantflow_count" VALUES(5,'unauthorized',0,5);
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
INSERT INTO "grantflow_credential" VALUES(X'125D6EE11B9B499C7FB7E35FD8F4183B7A843BE9D32CF035DC9B2E531D57F9F2',1,'refresh','01941f29-7c00-719c-990e-055ce4e8317c',1,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'1A47660C6BC8465905724456CE50D9070D9156CDFA81F7B915A690EF2918CE96',2,'access','01941f29-7c00-7f3e-b06c-dbf421bce8eb',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'1FAFDE0FD38E22EB8E4C198DB05CD46271988EC0166C98F02A64F1590BB2C28B',4,'refresh','01941f29-7c00-7006-8748-c8389f978ecf',1,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'33290BD57C89024D45C8897AF62DE945D38FEF9DF070526B229905361CC62B4E',5,'access','01941f29-7c00-7524-a9b4-2fa4464274e7',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'4AE1B7A5390EFF3DB81769FD728A784AC7441292D9C64103B3935C0132BCE4B8',5,'refresh','01941f29-7c00-7524-a9b4-2fa4464274e7',1,'agent-app',1767225600000000,1735689600000000);
INSERT INTO "grantflow_credential" VALUES(X'589473AF233C8043335959196CB9508AEC981FC418A4F0DCFB04E6C1F9D0CFAC',1,'access','01941f29-7c00-719c-990e-055ce4e8317c',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'6F756791A8EA6206E65D89801E60924551F682417B986D4B7FBAA6D5EAFD12CE',5,'refresh','01941f29-7c00-7524-a9b4-2fa4464274e7',2,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'70D9EF99C13F5B73776EA9EEFF08101E25629939969593DB8CEBE353CEF3B351',2,'refresh','01941f29-7c00-7f3e-b06c-dbf421bce8eb',1,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'7301250B2D8EDEE2943597D5BD35D4C9369F181DF4A16297DD2962C7A70D3EA7',3,'access','01941f29-7c00-7b8b-ac73-d1d94f567150',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'AC1DEEB682FFB07F9173DE06C500176AF975EE997277AFEB43EC57041F9B1A7E',4,'access','01941f29-7c00-7006-8748-c8389f978ecf',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'B4F1CE0D802D3604349F3CF026701BABEE06CEA0C17E6F6E61FD5E5F970786E8',5,'access','01941f29-7c00-7524-a9b4-2fa4464274e7',2,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'E8FCC14318BCEF290E4FE3D2F557A2F1AF38A3D1F1164666035BC176647E5BD2',3,'refresh','01941f29-7c00-7b8b-ac73-d1d94f567150',1,'agent-app',1767225600000000,NULL);
CREATE TABLE grantflow_incident (
	pk INTEGER NOT NULL, 
	public_id VARCHAR NOT NULL, 
	app_pk INTEGER NOT NULL, 
	cause VARCHAR NOT NULL, 
	detail VARCHAR NOT NULL, 
	opened_at BIGINT NOT NULL, 
	probe_at BIGINT NOT NULL, 
	probes INTEGER NOT NULL, 
	closed_at BIGINT, 
	closed_by VARCHAR, 
	PRIMARY KEY (pk), 
	UNIQUE (public_id)
);
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
	ended_at BIGINT, 
	notice_due_at BIGINT, 
	PRIMARY KEY (pk), 
	CHECK (version > 0), 
	UNIQUE (public_id)
);
INSERT INTO "grantflow_installation" VALUES(1,'01941f29-7c00-782b-a9bf-fdba999e4e7f',1,'account-0','agent','bob','default','active',NULL,5,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',166,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,1764633600000000);
INSERT INTO "grantflow_installation" VALUES(2,'01941f29-7c00-721c-a26b-a2337afa6ccb',1,'account-1','agent','bob','default','refresh-expired','operator',7,1,NULL,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',48,1735689600000000,1735689600000000,1735689600000000,1,NULL,NULL,NULL,0,1735689600000000,1735948800000000);
INSERT INTO "grantflow_installation" VALUES(3,'01941f29-7c00-7a1f-a80c-e1b7e134ba77',1,'account-2','agent','bob','default','active',NULL,5,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',138,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,1764633600000000);
INSERT INTO "grantflow_installation" VALUES(4,'01941f29-7c00-761d-84c7-92cd5c669dd7',1,'account-3','agent','bob','default','active',NULL,6,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',28,1735689600000000,1735689600000000,1735689600000000,0,'system',1735689600000000,'a drill with faults',0,NULL,1764633600000000);
INSERT INTO "grantflow_installation" VALUES(5,'01941f29-7c00-769a-a6d8-69d7a4a29af1',1,'account-4','agent','bob','default','active',NULL,5,2,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',191,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,1764633600000000);
INSERT INTO "grantflow_installation" VALUES(6,'01941f29-7c00-77c3-b080-e2213f20cfc1',1,'account-5','agent','bob','default','consented',NULL,4,0,1735689660000000,NULL,0,'',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',41,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_installation" VALUES(7,'01941f29-7c00-7337-b7fe-d940c4460dbd',1,'account-6','agent','bob','default','account-selected',NULL,3,0,1735690200000000,NULL,0,'',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',147,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_installation" VALUES(8,'01941f29-7c00-7cbc-973a-3900147d3a2b',4,'account-0','agent','bob','default','unauthorized',NULL,4,1,NULL,NULL,0,'',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',166,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_installation" VALUES(9,'01941f29-7c00-7fe9-8571-28fa580f8b21',4,'account-1','agent','bob','default','active',NULL,4,1,1735690200000000,1767225600000000,0,'people.read tickets.read tickets.write','somebody','AgentInstallation',1,'b6a50cbd315f8c0f',48,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,1764633600000000);
INSERT INTO "grantflow_installation" VALUES(10,'01941f29-7c00-7b03-a9de-d48d8a66f7f2',4,'account-2','agent','bob','default','active',NULL,3,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write','somebody','AgentInstallation',1,'b6a50cbd315f8c0f',138,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,1764633600000000);
INSERT INTO "grantflow_installation" VALUES(11,'01941f29-7c00-7680-87b3-f9a94b8cde0c',4,'account-3','agent','bob','default','refresh-expired','operator',4,1,NULL,1767225600000000,0,'people.read tickets.read tickets.write','somebody','AgentInstallation',1,'b6a50cbd315f8c0f',28,1735689600000000,1735689600000000,1735689600000000,1,NULL,NULL,NULL,0,1735689600000000,1735948800000000);
INSERT INTO "grantflow_installation" VALUES(12,'01941f29-7c00-7ef3-8f4c-67d0b24ecfe5',4,'account-4','agent','bob','default','active',NULL,3,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write','somebody','AgentInstallation',1,'b6a50cbd315f8c0f',191,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,1764633600000000);
INSERT INTO "grantflow_installation" VALUES(13,'01941f29-7c00-73cd-80e6-e83725c63e4c',5,'account-0','account','account-0','default','unauthorized',NULL,1,0,NULL,NULL,0,'',NULL,'AccountInstallation',1,'b6a50cbd315f8c0f',166,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_installation" VALUES(14,'01941f29-7c00-7b9d-94b7-bbb7be364049',5,'account-1','account','account-1','default','unauthorized',NULL,1,0,NULL,NULL,0,'',NULL,'AccountInstallation',1,'b6a50cbd315f8c0f',48,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_installation" VALUES(15,'01941f29-7c00-783e-bcd5-96142cc9daea',5,'account-2','account','account-2','default','unauthorized',NULL,1,0,NULL,NULL,0,'',NULL,'AccountInstallation',1,'b6a50cbd315f8c0f',138,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_installation" VALUES(16,'01941f29-7c00-72f7-8d0b-fc3de2412b02',5,'account-3','account','account-3','default','unauthorized',NULL,1,0,NULL,NULL,0,'',NULL,'AccountInstallation',1,'b6a50cbd315f8c0f',28,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_installation" VALUES(17,'01941f29-7c00-7588-b357-5f3eaac9ef44',5,'account-4','account','account-4','default','unauthorized',NULL,3,0,NULL,NULL,0,'',NULL,'AccountInstallation',1,'b6a50cbd315f8c0f',191,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0,NULL,NULL);
CREATE TABLE grantflow_job (
	pk INTEGER NOT NULL, 
	public_id VARCHAR NOT NULL, 
	verb VARCHAR NOT NULL, 
	to_state VARCHAR, 
	quiet BOOLEAN NOT NULL, 
	filter VARCHAR NOT NULL, 
	actor VARCHAR NOT NULL, 
	claimed BOOLEAN NOT NULL, 
	reason VARCHAR NOT NULL, 
	fingerprints VARCHAR NOT NULL, 
	total INTEGER NOT NULL, 
	canary INTEGER NOT NULL, 
	stop_after INTEGER NOT NULL, 
	stop_share FLOAT NOT NULL, 
	retries VARCHAR, 
	state VARCHAR NOT NULL, 
	why VARCHAR, 
	revision INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	started_at BIGINT, 
	ended_at BIGINT, 
	applied INTEGER NOT NULL, 
	refused INTEGER NOT NULL, 
	outdated INTEGER NOT NULL, 
	failed INTEGER NOT NULL, 
	forgiven_rows INTEGER NOT NULL, 
	forgiven INTEGER NOT NULL, 
	lease VARCHAR, 
	lease_until BIGINT, 
	PRIMARY KEY (pk), 
	UNIQUE (public_id)
);
INSERT INTO "grantflow_job" VALUES(1,'01941f29-7c00-7583-a94e-5fa74d384f44','suspend',NULL,0,'app:bulk-app account:account-0,account-1','olga',0,'a drill with faults','b6a50cbd315f8c0f',2,1,5,0.01,NULL,'waiting',NULL,2,1735689600000000,NULL,NULL,0,0,0,0,0,0,NULL,NULL);
INSERT INTO "grantflow_job" VALUES(2,'01941f29-7c00-77b3-8af8-a7a45fc6f4b1','suspend',NULL,0,'app:bulk-app account:account-2,account-3','olga',0,'a drill with faults','b6a50cbd315f8c0f',2,1,5,0.01,NULL,'paused','a drill with faults',3,1735689600000000,NULL,NULL,0,0,0,0,0,0,NULL,NULL);
INSERT INTO "grantflow_job" VALUES(3,'01941f29-7c00-74aa-b3a4-a27c34803aff','suspend',NULL,0,'app:bulk-app account:account-4','olga',0,'a drill with faults','b6a50cbd315f8c0f',1,1,5,0.01,NULL,'done',NULL,4,1735689600000000,1735689600000000,1735689600000000,0,0,1,0,0,0,NULL,NULL);
CREATE TABLE grantflow_job_item (
	job_pk INTEGER NOT NULL, 
	ordinal INTEGER NOT NULL, 
	installation VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	outcome VARCHAR NOT NULL, 
	detail VARCHAR NOT NULL, 
	at BIGINT, 
	PRIMARY KEY (job_pk, ordinal)
)
 WITHOUT ROWID

;
INSERT INTO "grantflow_job_item" VALUES(1,0,'01941f29-7c00-73cd-80e6-e83725c63e4c',1,'pending','',NULL);
INSERT INTO "grantflow_job_item" VALUES(1,1,'01941f29-7c00-7b9d-94b7-bbb7be364049',1,'pending','',NULL);
INSERT INTO "grantflow_job_item" VALUES(2,0,'01941f29-7c00-783e-bcd5-96142cc9daea',1,'pending','',NULL);
INSERT INTO "grantflow_job_item" VALUES(2,1,'01941f29-7c00-72f7-8d0b-fc3de2412b02',1,'pending','',NULL);
INSERT INTO "grantflow_job_item" VALUES(3,0,'01941f29-7c00-7588-b357-5f3eaac9ef44',1,'outdated','it moved from version 1 to 3, now unauthorized',1735689600000000);
CREATE TABLE grantflow_outbox (
	pk INTEGER NOT NULL, 
	installation_pk INTEGER, 
	name VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	body VARCHAR NOT NULL, 
	delivered_at BIGINT, 
	app_pk INTEGER, 
	tries INTEGER NOT NULL, 
	next_at BIGINT, 
	dead_at BIGINT, 
	PRIMARY KEY (pk)
);
INSERT INTO "grantflow_outbox" VALUES(1,1,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-0", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(2,2,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-1", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(3,3,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-2", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(4,4,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-3", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(5,5,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-4", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(6,4,'installation.suspended',6,1735689600000000,'{"event": "suspend", "account": "account-3", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(7,8,'installation.activated',3,1735689600000000,'{"event": "exchange_ok", "account": "account-0", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(8,9,'installation.activated',3,1735689600000000,'{"event": "exchange_ok", "account": "account-1", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(9,10,'installation.activated',3,1735689600000000,'{"event": "exchange_ok", "account": "account-2", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(10,11,'installation.activated',3,1735689600000000,'{"event": "exchange_ok", "account": "account-3", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(11,12,'installation.activated',3,1735689600000000,'{"event": "exchange_ok", "account": "account-4", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(12,11,'installation.forced',4,1735689600000000,'{"event": "force", "account": "account-3", "subject": "agent:bob", "state": "refresh-expired", "reason": "operator"}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(13,8,'installation.disconnected',4,1735689600000000,'{"event": "disconnect", "account": "account-0", "subject": "agent:bob", "state": "unauthorized", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(14,17,'installation.suspended',2,1735689600000000,'{"event": "suspend", "account": "account-4", "subject": "account:account-4", "state": "unauthorized", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(15,17,'installation.unsuspended',3,1735689600000000,'{"event": "unsuspend", "account": "account-4", "subject": "account:account-4", "state": "unauthorized", "reason": null}',NULL,NULL,0,NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(16,2,'installation.forced',7,1735689600000000,'{"event": "force", "account": "account-1", "subject": "agent:bob", "state": "refresh-expired", "reason": "operator"}',NULL,NULL,0,NULL,NULL);
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
INSERT INTO "grantflow_parent" VALUES(1,1,'account-0','2.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(2,1,'account-1','2.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(3,1,'account-2','2.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(4,1,'account-3','2.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(5,1,'account-4','2.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(6,1,'account-5','2.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(7,1,'account-6','2.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(8,1,'account-7','2.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(9,1,'account-9','2.0',0,2,1735689600000000,NULL,'system',1735689600000000,'a drill with faults');
INSERT INTO "grantflow_parent" VALUES(10,4,'account-0','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(11,4,'account-1','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(12,4,'account-2','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(13,4,'account-3','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(14,4,'account-4','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(15,5,'account-0','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(16,5,'account-1','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(17,5,'account-2','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(18,5,'account-3','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_parent" VALUES(19,5,'account-4','1.0',0,1,1735689600000000,NULL,NULL,NULL,NULL);
CREATE TABLE grantflow_quarantine (
	installation_pk INTEGER NOT NULL, 
	reason VARCHAR NOT NULL, 
	since BIGINT NOT NULL, 
	original VARCHAR NOT NULL, 
	PRIMARY KEY (installation_pk)
);
CREATE TABLE grantflow_revocation (
	pk INTEGER NOT NULL, 
	app_pk INTEGER NOT NULL, 
	installation_pk INTEGER NOT NULL, 
	identity VARCHAR, 
	subject_id VARCHAR NOT NULL, 
	hint VARCHAR NOT NULL, 
	sealed BLOB, 
	place VARCHAR NOT NULL, 
	created_at BIGINT NOT NULL, 
	next_at BIGINT, 
	tries INTEGER NOT NULL, 
	outcome VARCHAR, 
	done_at BIGINT, 
	PRIMARY KEY (pk)
);
INSERT INTO "grantflow_revocation" VALUES(1,4,8,'nobody else','bob','refresh_token',X'6B313A6F066C3AB924396BD5FBADBB83909869542F3D2162D350A5CE573B2D4B5643317A903CB103','token_set/01941f29-7c00-7cbc-973a-3900147d3a2b/refresh',1735689600000000,1735689600000000,0,NULL,NULL);
CREATE TABLE grantflow_schema (
	version INTEGER NOT NULL, 
	made_at BIGINT NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "grantflow_schema" VALUES(3,1735689600000000);
CREATE TABLE grantflow_token_set (
	installation_pk INTEGER NOT NULL, 
	family VARCHAR NOT NULL, 
	generation INTEGER NOT NULL, 
	scopes VARCHAR NOT NULL, 
	issued_at BIGINT NOT NULL, 
	access_expires_at BIGINT, 
	refresh_expires_at BIGINT, 
	authorization_expires_at BIGINT, 
	access_sealed BLOB, 
	refresh_sealed BLOB, 
	consented_at BIGINT, 
	refresh_at BIGINT, 
	lease VARCHAR, 
	lease_until BIGINT, 
	in_flight_at BIGINT, 
	failures INTEGER NOT NULL, 
	failing VARCHAR, 
	forced_generation INTEGER, 
	unauthorized_at BIGINT, 
	PRIMARY KEY (installation_pk)
);
INSERT INTO "grantflow_token_set" VALUES(1,'01941f29-7c00-719c-990e-055ce4e8317c',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(2,'01941f29-7c00-7f3e-b06c-dbf421bce8eb',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(3,'01941f29-7c00-7b8b-ac73-d1d94f567150',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(4,'01941f29-7c00-7006-8748-c8389f978ecf',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(5,'01941f29-7c00-7524-a9b4-2fa4464274e7',2,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(9,'01941f29-7c00-705e-a4fc-76bb7220ea29',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,X'6B313A2F0F56D9FC07A6B59E35C24B48E513997C3B9935984538F6DF8A4304BE9BB6D8C2C6F28A76',X'6B313AF77210943143B3BE77C395AA48414807A782625BB96B4217F2C4B4FE68E5FF34C2A9CFAE3F',1735689600000000,1735691100000000,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(10,'01941f29-7c00-7ac8-97e5-fbcff632f1f4',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,X'6B313A2FF59557DCAE5738FE9750EC9213E25024C7CED687477AB1862CA8B9B2FFB2D7A70E895A16',X'6B313AC360719DF6601E6B3D05E561C4B6B82F6FEEF0BD32693FE673B34E9FFDEB50BF5D91B436C5',1735689600000000,1735691100000000,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(11,'01941f29-7c00-7c7d-b045-594beaa0e439',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,X'6B313A3CE7AFFEBFD8466AA9137C59A30CC82B1DF35E0E2E2C79C5CEAFD01EAAA3C530764832BF27',X'6B313AA5377484EAE683D5E57966369E7C3229CCC4FC830910C477E7F4A6A8C9AE3CA467D55827E0',1735689600000000,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(12,'01941f29-7c00-7303-9979-1ffd02716e6c',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,X'6B313A0076B88346B2D6B7EC5591F529F04E7DFCFF03892FC71E4D548C038D45BECDB49F3F8B699F',X'6B313A2D7C28C50DE54C90DBA9D8B8C2F0A6DFF952633BAD3B23998B38A45F53B42CEF8E248F5EB4',1735689600000000,1735691100000000,NULL,NULL,NULL,0,NULL,NULL,NULL);
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
INSERT INTO "grantflow_transition" VALUES(21,5,1,NULL,'installed','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(22,5,2,'unauthorized','authorize','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(23,5,3,'unauthorized','select_account','account-selected','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(24,5,4,'account-selected','agree','consented','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(25,5,5,'consented','exchange_ok','active','app:agent-app',1735689600000000,'completed',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(26,2,6,'active','authorize','active','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(27,4,6,'active','suspend','active','system:grantflow',1735689600000000,'a drill with faults',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(28,6,1,NULL,'installed','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(29,6,2,'unauthorized','authorize','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(30,6,3,'unauthorized','select_account','account-selected','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(31,6,4,'account-selected','agree','consented','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(32,7,1,NULL,'installed','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(33,7,2,'unauthorized','authorize','unauthorized','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(34,7,3,'unauthorized','select_account','account-selected','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(35,8,1,NULL,'installed','unauthorized','system:grantflow',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(36,8,2,'unauthorized','callback_ok','consented','system:grantflow',1735689600000000,'adopted',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(37,8,3,'consented','exchange_ok','active','system:grantflow',1735689600000000,'adopted',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(38,9,1,NULL,'installed','unauthorized','system:grantflow',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(39,9,2,'unauthorized','callback_ok','consented','system:grantflow',1735689600000000,'adopted',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(40,9,3,'consented','exchange_ok','active','system:grantflow',1735689600000000,'adopted',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(41,10,1,NULL,'installed','unauthorized','system:grantflow',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(42,10,2,'unauthorized','callback_ok','consented','system:grantflow',1735689600000000,'adopted',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(43,10,3,'consented','exchange_ok','active','system:grantflow',1735689600000000,'adopted',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(44,11,1,NULL,'installed','unauthorized','system:grantflow',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(45,11,2,'unauthorized','callback_ok','consented','system:grantflow',1735689600000000,'adopted',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(46,11,3,'consented','exchange_ok','active','system:grantflow',1735689600000000,'adopted',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(47,12,1,NULL,'installed','unauthorized','system:grantflow',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(48,12,2,'unauthorized','callback_ok','consented','system:grantflow',1735689600000000,'adopted',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(49,12,3,'consented','exchange_ok','active','system:grantflow',1735689600000000,'adopted',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(50,11,4,'active','force','refresh-expired','operator:olga',1735689600000000,'a drill with faults',1,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(51,8,4,'active','disconnect','unauthorized','agent:bob',1735689600000000,'superseded',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(52,9,4,'active','authorize','active','agent:bob',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(53,13,1,NULL,'installed','unauthorized','system:grantflow',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(54,14,1,NULL,'installed','unauthorized','system:grantflow',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(55,15,1,NULL,'installed','unauthorized','system:grantflow',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(56,16,1,NULL,'installed','unauthorized','system:grantflow',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(57,17,1,NULL,'installed','unauthorized','system:grantflow',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(58,17,2,'unauthorized','suspend','unauthorized','operator:olga',1735689600000000,'a drill with faults',0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(59,17,3,'unauthorized','unsuspend','unauthorized','operator:olga',1735689600000000,NULL,0,NULL,NULL,'b6a50cbd315f8c0f');
INSERT INTO "grantflow_transition" VALUES(60,2,7,'active','force','refresh-expired','operator:olga',1735689600000000,'a drill with faults',1,NULL,NULL,'b6a50cbd315f8c0f');
CREATE INDEX grantflow_attempt_closed ON grantflow_attempt (closed_at) WHERE closed_at IS NOT NULL;
CREATE UNIQUE INDEX grantflow_attempt_code ON grantflow_attempt (code_hash) WHERE code_hash IS NOT NULL;
CREATE INDEX grantflow_attempt_installation ON grantflow_attempt (installation_pk, outcome);
CREATE INDEX grantflow_attempt_loose ON grantflow_attempt (expires_at) WHERE installation_pk IS NULL AND outcome IS NULL;
CREATE UNIQUE INDEX grantflow_attempt_state ON grantflow_attempt (state_hash) WHERE state_hash IS NOT NULL;
CREATE INDEX grantflow_consent_subject ON grantflow_consent (app_pk, account, subject_kind, subject_id, actor_kind, actor_id);
CREATE INDEX grantflow_credential_installation ON grantflow_credential (installation_pk);
CREATE UNIQUE INDEX grantflow_incident_open ON grantflow_incident (app_pk) WHERE closed_at IS NULL;
CREATE INDEX grantflow_installation_account ON grantflow_installation (account, pk);
CREATE INDEX grantflow_installation_app ON grantflow_installation (app_pk, state, pk);
CREATE INDEX grantflow_installation_deadline ON grantflow_installation (deadline_at, pk) WHERE deadline_at IS NOT NULL;
CREATE INDEX grantflow_installation_due ON grantflow_installation (due_at, app_pk) WHERE due_at IS NOT NULL;
CREATE INDEX grantflow_installation_ended ON grantflow_installation (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX grantflow_installation_entered ON grantflow_installation (entered_at, pk);
CREATE INDEX grantflow_installation_forced ON grantflow_installation (pk) WHERE forced = 1;
CREATE INDEX grantflow_installation_identity ON grantflow_installation (app_pk, identity) WHERE identity IS NOT NULL;
CREATE UNIQUE INDEX grantflow_installation_natural ON grantflow_installation (app_pk, account, subject_kind, subject_id, label) WHERE state <> 'uninstalled';
CREATE INDEX grantflow_installation_notice ON grantflow_installation (notice_due_at) WHERE notice_due_at IS NOT NULL;
CREATE INDEX grantflow_installation_quarantined ON grantflow_installation (pk) WHERE quarantined = 1;
CREATE INDEX grantflow_installation_reason ON grantflow_installation (reason, pk) WHERE reason IS NOT NULL;
CREATE INDEX grantflow_installation_state ON grantflow_installation (state, pk);
CREATE INDEX grantflow_installation_subject ON grantflow_installation (subject_id, pk);
CREATE INDEX grantflow_installation_suspended ON grantflow_installation (pk) WHERE suspended_by IS NOT NULL;
CREATE INDEX grantflow_job_state ON grantflow_job (state, pk);
CREATE INDEX grantflow_job_item_outcome ON grantflow_job_item (job_pk, outcome, ordinal);
CREATE INDEX grantflow_outbox_dead ON grantflow_outbox (pk) WHERE dead_at IS NOT NULL;
CREATE INDEX grantflow_outbox_done ON grantflow_outbox (delivered_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX grantflow_outbox_pending ON grantflow_outbox (pk) WHERE delivered_at IS NULL AND dead_at IS NULL;
CREATE INDEX grantflow_outbox_retry ON grantflow_outbox (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX grantflow_revocation_due ON grantflow_revocation (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX grantflow_token_set_failing ON grantflow_token_set (installation_pk) WHERE failing IS NOT NULL;
CREATE INDEX grantflow_token_set_refresh ON grantflow_token_set (refresh_at) WHERE refresh_at IS NOT NULL;
CREATE UNIQUE INDEX grantflow_transition_key ON grantflow_transition (installation_pk, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX grantflow_transition_run ON grantflow_transition (run_id, installation_pk) WHERE run_id IS NOT NULL;
CREATE TRIGGER grantflow_transition_no_update BEFORE UPDATE ON grantflow_transition BEGIN SELECT RAISE(ABORT, 'grantflow_transition is append-only'); END;
CREATE TRIGGER grantflow_transition_no_delete BEFORE DELETE ON grantflow_transition BEGIN SELECT RAISE(ABORT, 'grantflow_transition is append-only'); END;
CREATE TRIGGER grantflow_action_no_update BEFORE UPDATE ON grantflow_action BEGIN SELECT RAISE(ABORT, 'grantflow_action is append-only'); END;
CREATE TRIGGER grantflow_action_no_delete BEFORE DELETE ON grantflow_action BEGIN SELECT RAISE(ABORT, 'grantflow_action is append-only'); END;
COMMIT;
