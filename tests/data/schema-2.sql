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
INSERT INTO "grantflow_action" VALUES(17,1735689600000000,'operator:olga',0,'force','01941f29-7c00-73cc-a359-f69c2f311a68','a drill with faults',3,'previewed','to refresh-expired');
INSERT INTO "grantflow_action" VALUES(18,1735689600000000,'operator:olga',0,'force','01941f29-7c00-73cc-a359-f69c2f311a68','a drill with faults',3,'applied','to refresh-expired');
INSERT INTO "grantflow_action" VALUES(19,1735689600000000,'operator:olga',0,'force','01941f29-7c00-71c8-bda1-7e0dd4cc657c','a drill with faults',6,'previewed','to refresh-expired');
INSERT INTO "grantflow_action" VALUES(20,1735689600000000,'operator:olga',0,'force','01941f29-7c00-71c8-bda1-7e0dd4cc657c','a drill with faults',6,'applied','to refresh-expired');
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
INSERT INTO "grantflow_app" VALUES(1,'01941f29-7c00-706f-85d4-b12e00851b6a','agent-app','agent','agent-app','{"access_minutes": 30.0, "authorize_url": "", "client_id": "agent-app", "description": "Made for tests.", "key": "agent-app", "kind": "agent", "lifetime": {"counts_from": "issue", "days": 365.0, "policy": "fixed"}, "mode": "host", "name": "The agent app", "redirect_uris": ["https://app.example/callback"], "require_pkce": true, "secret_hashes": ["581121062f68d9e7a27d6df22a8519d2195d158426dd0cf31d9ce9dfc4fed089"], "server": null, "versions": [{"blocking": false, "name": "1.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}, {"blocking": false, "name": "2.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}]}',1,NULL,NULL,NULL,'[]');
INSERT INTO "grantflow_app" VALUES(2,'01941f29-7c00-7385-9c7a-8274359a5500','external-app','external','external-app','{"access_minutes": 30.0, "authorize_url": "", "client_id": "external-app", "description": "Made for tests.", "key": "external-app", "kind": "external", "lifetime": {"counts_from": "issue", "days": 365.0, "policy": "fixed"}, "mode": "host", "name": "The external app", "redirect_uris": ["https://app.example/callback"], "require_pkce": true, "secret_hashes": ["581121062f68d9e7a27d6df22a8519d2195d158426dd0cf31d9ce9dfc4fed089"], "server": null, "versions": [{"blocking": false, "name": "1.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}]}',1,NULL,NULL,NULL,'[]');
INSERT INTO "grantflow_app" VALUES(3,'01941f29-7c00-7661-a269-44aeafa5ee20','held-app','agent','held-app','{"access_minutes": 30.0, "authorize_url": "", "client_id": "held-app", "description": "Made for tests.", "key": "held-app", "kind": "agent", "lifetime": {"counts_from": "issue", "days": 365.0, "policy": "fixed"}, "mode": "host", "name": "The agent app", "redirect_uris": ["https://app.example/callback"], "require_pkce": true, "secret_hashes": ["581121062f68d9e7a27d6df22a8519d2195d158426dd0cf31d9ce9dfc4fed089"], "server": null, "versions": [{"blocking": false, "name": "1.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}]}',2,'operator:olga','a drill with faults',1735689600000000,'[]');
INSERT INTO "grantflow_app" VALUES(4,'01941f29-7c00-7019-890a-add18d44da71','mail','agent','mail','{"access_minutes": 30.0, "authorize_url": "", "client_id": "mail", "description": "Made for tests.", "key": "mail", "kind": "agent", "lifetime": {"counts_from": "issue", "days": 365.0, "policy": "fixed"}, "mode": "client", "name": "The agent app", "redirect_uris": ["https://app.example/callback"], "require_pkce": true, "secret_hashes": [], "server": {"auth_method": "client_secret_basic", "authorization_endpoint": "https://server.example/authorize", "extra": [], "issuer": "https://server.example", "pkce": true, "resource": "", "revocation_endpoint": "https://server.example/revoke", "sends_iss": true, "token_endpoint": "https://server.example/token"}, "versions": [{"blocking": false, "name": "1.0", "optional": ["people.read"], "required": ["tickets.read", "tickets.write"]}]}',1,NULL,NULL,NULL,'[["azE6/uRqi6/c0GtDKfbd986Ufapm6OMJnSKTpFrD0FNFm3wxJE7BJ7Ccm9pBC8OCU8kLuG4Qixo=", 1735689600000000]]');
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
INSERT INTO "grantflow_attempt" VALUES(1,'01941f29-7c00-7109-a70d-b3cf157d15ca',1,1,'initial',3,'agent','bob','agent','bob','default','account-0','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'C78DF9369C8E74310F892592A28195F965BB0947E3640AFA79014CF0C83683BD','5k6y49uTow6CHxXaokrUCW43I4ZBsbXLhGipb9wfeQg',X'91A9DA67E46557BA95AB358C3361DCC392A200517660210F4301D21FFF4323D3','01941f29-7c00-7a18-a312-da08468a09ca',1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(2,'01941f29-7c00-737e-8025-f3a9c3a74252',1,2,'initial',3,'agent','bob','agent','bob','default','account-1','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'82883461B62F759594A271D6AF23E025CA156C452D86D345352A91AACADC1CAA','InxSGwaZI3rJM7TKinm5qiiVJYRthYX-RK8m8lf0nlc',X'A50B44313636771F14212062A95C16F37A85ED24A57B946A95B9AB50B3B91848','01941f29-7c00-7855-85c0-77bc5e1b2623',1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(3,'01941f29-7c00-774f-afd7-c8f2cdfb637d',1,3,'initial',3,'agent','bob','agent','bob','default','account-2','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'77FA109FEF6F9DC5CB06F893D0463B0DB05CC629F6CC21A2F98C4BFC216AABD5','KJZV1pRfJhD5SkMUJnAywm4ejidL-YPSdM37mRxtLu8',X'60DE165FF87CC98BE9EB568592F89EB2D785E86FB1222AA33C1F8B02DE00571E','01941f29-7c00-711b-813d-0a69d00a7a25',1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(4,'01941f29-7c00-78dc-bb3d-019a3e310800',1,4,'initial',3,'agent','bob','agent','bob','default','account-3','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'1E098E2E0DC8FCA325E2AB186013632D5F98DDB104EC8802142A15C2FC600C23','Yjqd73W5TNwQKvldiLO6zOTShWC3imasHhDkEBrMmK8',X'D9F0B553EE3E6FEBAC0E3CCD1E8F8D53AD4A62B7363FEBF94B5C4613A9377108','01941f29-7c00-7979-9c86-20db3afebf57',1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(5,'01941f29-7c00-7dbe-a204-73d0e134e2d7',1,5,'initial',3,'agent','bob','agent','bob','default','account-4','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'E4FEEECA9C77A38AEF772DF34997F13843403D21B91323FB694DB5586B552DE7','fph8hJzQIZi6kk64MEQximLEkhYFRKUeb8JrNay0QTY',X'E650B17259317459652FF4BF6571047C4102E9F63C3A9CF15528CA18D1187BE4','01941f29-7c00-7976-b7ef-f5cd9672f978',1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(6,'01941f29-7c00-78f9-8e10-db49c541d266',1,2,'scope-upgrade',1,'agent','bob','agent','bob','default','account-1','','2.0','people.read tickets.read tickets.write','','agent-app','https://app.example/callback',NULL,NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',X'F69DFC1111A7ECE9263F8B800A06DCB6AC23CF62CCBBCCBB9B683EE17A95B869',NULL,1735689600000000,1735690200000000,'superseded',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(7,'01941f29-7c00-7ed2-a3be-d024bf36066f',1,6,'initial',3,'agent','bob','agent','bob','default','account-5','','2.0','people.read tickets.read tickets.write','people.read tickets.read tickets.write','agent-app','https://app.example/callback',NULL,X'546762EF8E67C3166C2BAD511F585698702A3C2136BB3A10FA9025F67BA24E2D','eIIMepCyVqSL6oMYeXzzJMiSBXQvvvopEHOYJyNoPZU',X'20D4C831EC18E76BEC0B9B7676BC7B124527B833CA4A182C76988A70ABE3C2D7',NULL,1735689600000000,1735689660000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(8,'01941f29-7c00-7d19-b86b-7835c604ae45',1,7,'initial',2,'agent','bob','agent','bob','default','account-6','','2.0','people.read tickets.read tickets.write','','agent-app','https://app.example/callback',NULL,NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',X'979CD5CD75E02C92AC4FD7318DA9C26BD8340DB38C921223787993526DDA3F24',NULL,1735689600000000,1735690200000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(9,'01941f29-7c00-7128-8179-4fca58a7d2fe',1,NULL,'initial',1,'agent','bob','agent','bob','default',NULL,'','2.0','people.read tickets.read tickets.write','','agent-app','https://app.example/callback',NULL,NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',X'B2295EA503B32D97DE1472CA20F820B02876971567C77AE4364108867E35E275',NULL,1735689600000000,1735690200000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(10,'01941f29-7c00-73fa-8986-31ecdaad6f63',1,NULL,'initial',1,'agent','bob','agent','bob','default',NULL,'','2.0','people.read tickets.read tickets.write','','agent-app','https://app.example/callback',NULL,NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',X'BB171DAE13D921BC9EB840FFB8B8F92C2CC1D647B7B57AC1A41C55258503C602',NULL,1735689600000000,1735690200000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(11,'01941f29-7c00-7c97-be5d-e2a816dd88ca',2,NULL,'initial',1,'user','uma','user','uma','default',NULL,'','1.0','people.read tickets.read tickets.write','','external-app','https://app.example/callback',NULL,NULL,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',X'5C81F1A34B70A590075421AE25A300A00B87E9CC2A34690B70E621DB39FF5B80',NULL,1735689600000000,1735690200000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(12,'01941f29-7c00-722c-9f8c-a09ca646f8d6',4,8,'initial',3,'system','grantflow','agent','bob','default','account-0','adopt','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,NULL,NULL,1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(13,'01941f29-7c00-794b-a272-64175e1203b2',4,9,'initial',3,'system','grantflow','agent','bob','default','account-1','adopt','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,NULL,NULL,1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(14,'01941f29-7c00-7f1d-9b75-3325d7e49238',4,10,'initial',3,'system','grantflow','agent','bob','default','account-2','adopt','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,NULL,NULL,1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(15,'01941f29-7c00-7bd4-8115-62a0a0713dfa',4,11,'initial',3,'system','grantflow','agent','bob','default','account-3','adopt','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,NULL,NULL,1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(16,'01941f29-7c00-7049-b273-882882af9a6f',4,12,'initial',3,'system','grantflow','agent','bob','default','account-4','adopt','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,NULL,NULL,1735689600000000,1735689660000000,'completed',1735689600000000,NULL,NULL,NULL,NULL);
INSERT INTO "grantflow_attempt" VALUES(17,'01941f29-7c00-73ab-b1ef-fe33142d9e76',4,9,'scope-upgrade',1,'agent','bob','agent','bob','default','account-1','','1.0','people.read tickets.read tickets.write','','mail','https://app.example/callback',NULL,NULL,NULL,X'D62759C15A497BF44EF7CCB0CDFC439E7856E7F6245B0C826A49529D992E925F',NULL,1735689600000000,1735690200000000,NULL,NULL,X'CD690A5D0D65DB7E6CF159DBE5C0DF10D1598AA10D33B54157C76F656FE78A8A',NULL,X'6B313AFA188510E4226F740D6C76999DCA25C593C354E237F2F2421DE56E576B3BE6E0F659F17F4EDAECBC3E658AC3B68B7474516B33C1E9457F9A1F77C31668313705B07AB4AD1EC579C3A56839BF55448D6BFC994D9F361DF4ED7C0EE927F0B3BE9B20A313BA8BCD2017DDF402088ACB0715F7CB8AD89F271AFB917BA6','https://server.example');
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
INSERT INTO "grantflow_credential" VALUES(X'32ACB1DF77F4E45C188591D5F5BA8F99DD1946A65197BB1307DD188E6CFA9403',3,'refresh','01941f29-7c00-711b-813d-0a69d00a7a25',1,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'496E4F1FEDC59481ECD3D6452FEBA632BA1477B5161946BB2D85001D6DD48209',4,'access','01941f29-7c00-7979-9c86-20db3afebf57',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'7799D18E8DB319AABBC001E3881731B349A2A9FD982DEDC355ABC36984F175DB',1,'access','01941f29-7c00-7a18-a312-da08468a09ca',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'94B0532BE377426ABC98F0F82057B50C6B5C37AC701C0B0662924D240033E6B4',2,'access','01941f29-7c00-7855-85c0-77bc5e1b2623',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'96CAFFBD2712733901FB91E85F8122639ACC95490EA750773EAE30F450D4C28B',4,'refresh','01941f29-7c00-7979-9c86-20db3afebf57',1,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'99E2362E5D0E12EEF599F4FDB008128961EE424FB596400B0D2D0ABE5FA1A767',3,'access','01941f29-7c00-711b-813d-0a69d00a7a25',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'A67DF2FA8F67F40AB89FAEFC680191AD36E67EBB3E4280851658E8735F885A3C',5,'access','01941f29-7c00-7976-b7ef-f5cd9672f978',1,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'AB8760F32E5CB93CA078A7CFA4F3A58511E32696B9E91348DF00F46C3C07EAC1',2,'refresh','01941f29-7c00-7855-85c0-77bc5e1b2623',1,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'B4BEFB259119F81E73301F7A2B083101405441640A37A1A2A16CA73FC879A78D',5,'refresh','01941f29-7c00-7976-b7ef-f5cd9672f978',2,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'B5DDC6ECFF7A38A8BF90EAEB4E037D3CE34F7564B4F5654700750D6368E5BF54',1,'refresh','01941f29-7c00-7a18-a312-da08468a09ca',1,'agent-app',1767225600000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'BC5FF30B8E8E0A7B1F68AF024D1C1E0F901B6138E407F1FAC17352122FDF5FF5',5,'access','01941f29-7c00-7976-b7ef-f5cd9672f978',2,'agent-app',1735691400000000,NULL);
INSERT INTO "grantflow_credential" VALUES(X'DEC64C3BD814FEDB6C68596D0929E9D401055D6C6710EA90844C1ACBA5CFE3E4',5,'refresh','01941f29-7c00-7976-b7ef-f5cd9672f978',1,'agent-app',1767225600000000,1735689600000000);
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
	PRIMARY KEY (pk), 
	CHECK (version > 0), 
	UNIQUE (public_id)
);
INSERT INTO "grantflow_installation" VALUES(1,'01941f29-7c00-7ece-9335-5260bc2a2f79',1,'account-0','agent','bob','default','active',NULL,5,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',166,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(2,'01941f29-7c00-71c8-bda1-7e0dd4cc657c',1,'account-1','agent','bob','default','refresh-expired','operator',7,1,NULL,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',48,1735689600000000,1735689600000000,1735689600000000,1,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(3,'01941f29-7c00-75cf-ae0f-500d7442ded9',1,'account-2','agent','bob','default','active',NULL,5,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',138,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(4,'01941f29-7c00-79b1-b74c-2fcb8eb504c2',1,'account-3','agent','bob','default','active',NULL,6,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',28,1735689600000000,1735689600000000,1735689600000000,0,'system',1735689600000000,'a drill with faults',0);
INSERT INTO "grantflow_installation" VALUES(5,'01941f29-7c00-7ccb-b7bc-150e8dc722cc',1,'account-4','agent','bob','default','active',NULL,5,2,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',191,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(6,'01941f29-7c00-780a-9962-496d2cdd4836',1,'account-5','agent','bob','default','consented',NULL,4,0,1735689660000000,NULL,0,'',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',41,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(7,'01941f29-7c00-7d9b-9172-eeefefb71e40',1,'account-6','agent','bob','default','account-selected',NULL,3,0,1735690200000000,NULL,0,'',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',147,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(8,'01941f29-7c00-7e51-887a-424559344446',4,'account-0','agent','bob','default','unauthorized',NULL,4,1,NULL,NULL,0,'',NULL,'AgentInstallation',1,'b6a50cbd315f8c0f',166,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(9,'01941f29-7c00-7aea-a2cf-22beda4fd742',4,'account-1','agent','bob','default','active',NULL,4,1,1735690200000000,1767225600000000,0,'people.read tickets.read tickets.write','somebody','AgentInstallation',1,'b6a50cbd315f8c0f',48,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(10,'01941f29-7c00-7475-986d-1053f32e2386',4,'account-2','agent','bob','default','active',NULL,3,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write','somebody','AgentInstallation',1,'b6a50cbd315f8c0f',138,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(11,'01941f29-7c00-73cc-a359-f69c2f311a68',4,'account-3','agent','bob','default','refresh-expired','operator',4,1,NULL,1767225600000000,0,'people.read tickets.read tickets.write','somebody','AgentInstallation',1,'b6a50cbd315f8c0f',28,1735689600000000,1735689600000000,1735689600000000,1,NULL,NULL,NULL,0);
INSERT INTO "grantflow_installation" VALUES(12,'01941f29-7c00-7f67-838f-0638fbdeb983',4,'account-4','agent','bob','default','active',NULL,3,1,1767225600000000,1767225600000000,0,'people.read tickets.read tickets.write','somebody','AgentInstallation',1,'b6a50cbd315f8c0f',191,1735689600000000,1735689600000000,1735689600000000,0,NULL,NULL,NULL,0);
CREATE TABLE grantflow_outbox (
	pk INTEGER NOT NULL, 
	installation_pk INTEGER, 
	name VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	body VARCHAR NOT NULL, 
	delivered_at BIGINT, 
	app_pk INTEGER, 
	PRIMARY KEY (pk)
);
INSERT INTO "grantflow_outbox" VALUES(1,1,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-0", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(2,2,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-1", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(3,3,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-2", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(4,4,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-3", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(5,5,'installation.activated',5,1735689600000000,'{"event": "exchange_ok", "account": "account-4", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(6,4,'installation.suspended',6,1735689600000000,'{"event": "suspend", "account": "account-3", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(7,8,'installation.activated',3,1735689600000000,'{"event": "exchange_ok", "account": "account-0", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(8,9,'installation.activated',3,1735689600000000,'{"event": "exchange_ok", "account": "account-1", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(9,10,'installation.activated',3,1735689600000000,'{"event": "exchange_ok", "account": "account-2", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(10,11,'installation.activated',3,1735689600000000,'{"event": "exchange_ok", "account": "account-3", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(11,12,'installation.activated',3,1735689600000000,'{"event": "exchange_ok", "account": "account-4", "subject": "agent:bob", "state": "active", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(12,11,'installation.forced',4,1735689600000000,'{"event": "force", "account": "account-3", "subject": "agent:bob", "state": "refresh-expired", "reason": "operator"}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(13,8,'installation.disconnected',4,1735689600000000,'{"event": "disconnect", "account": "account-0", "subject": "agent:bob", "state": "unauthorized", "reason": null}',NULL,NULL);
INSERT INTO "grantflow_outbox" VALUES(14,2,'installation.forced',7,1735689600000000,'{"event": "force", "account": "account-1", "subject": "agent:bob", "state": "refresh-expired", "reason": "operator"}',NULL,NULL);
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
INSERT INTO "grantflow_revocation" VALUES(1,4,8,'nobody else','bob','refresh_token',X'6B313A960E33AB9F85F9E89EBD67522B1DD7CE26BD3902BA6C07197B9F8B1D68217A2742832BBA30','token_set/01941f29-7c00-7e51-887a-424559344446/refresh',1735689600000000,1735689600000000,0,NULL,NULL);
CREATE TABLE grantflow_schema (
	version INTEGER NOT NULL, 
	made_at BIGINT NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "grantflow_schema" VALUES(2,1735689600000000);
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
INSERT INTO "grantflow_token_set" VALUES(1,'01941f29-7c00-7a18-a312-da08468a09ca',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(2,'01941f29-7c00-7855-85c0-77bc5e1b2623',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(3,'01941f29-7c00-711b-813d-0a69d00a7a25',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(4,'01941f29-7c00-7979-9c86-20db3afebf57',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(5,'01941f29-7c00-7976-b7ef-f5cd9672f978',2,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(9,'01941f29-7c00-7e01-a275-da907d8360ac',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,X'6B313A98BE4A419E4194D2877FE29EB85F9DCB8C72EBD6F55439B07DAEFD0C2D2B04A32B27FC899E',X'6B313A8FA61CC4136B5BA2A7BDD62B3BA84F1FDB1F3E7361361E2BE40927F97D91402C858BE52541',1735689600000000,1735691100000000,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(10,'01941f29-7c00-76ec-951f-ebbd7f2809a8',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,X'6B313AFA2231D4CE531D5C8DB1F7D489296CE400334C25720BB3176044B2359D7E95F8471F444D27',X'6B313A700AEE779367A141C766C71F196363CEDD47B266C42A8B7834543E056152D66AD762FF09D2',1735689600000000,1735691100000000,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(11,'01941f29-7c00-7440-b7aa-3e4e05dea1eb',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,X'6B313A3D2CA74C4DA0085E8E9BE25B349470D622312E09D07D68DF3407C138C4D1ADA84C8C9A02E0',X'6B313A692AA50D23FE85DEF89200CC7BFF6BF519D0AF3CD25E943CF77BC69C6410490B2D58A22E71',1735689600000000,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "grantflow_token_set" VALUES(12,'01941f29-7c00-73f6-9a40-dc448d5eb6ed',1,'people.read tickets.read tickets.write',1735689600000000,1735691400000000,1767225600000000,NULL,X'6B313AB52E2EBF482756CB93B13CD79AD0FEBED039A0FBFD4E7B1D8E6CD431B068C3BF2B43694A0A',X'6B313A333ECC65F9CD73C92502159DF3F2B3C1B1F5A245C2EA4ACC9B61B912A095B5DA5080F5E538',1735689600000000,1735691100000000,NULL,NULL,NULL,0,NULL,NULL,NULL);
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
INSERT INTO "grantflow_transition" VALUES(53,2,7,'active','force','refresh-expired','operator:olga',1735689600000000,'a drill with faults',1,NULL,NULL,'b6a50cbd315f8c0f');
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
CREATE INDEX grantflow_installation_entered ON grantflow_installation (entered_at, pk);
CREATE INDEX grantflow_installation_forced ON grantflow_installation (pk) WHERE forced = 1;
CREATE INDEX grantflow_installation_identity ON grantflow_installation (app_pk, identity) WHERE identity IS NOT NULL;
CREATE UNIQUE INDEX grantflow_installation_natural ON grantflow_installation (app_pk, account, subject_kind, subject_id, label) WHERE state <> 'uninstalled';
CREATE INDEX grantflow_installation_quarantined ON grantflow_installation (pk) WHERE quarantined = 1;
CREATE INDEX grantflow_installation_reason ON grantflow_installation (reason, pk) WHERE reason IS NOT NULL;
CREATE INDEX grantflow_installation_state ON grantflow_installation (state, pk);
CREATE INDEX grantflow_installation_subject ON grantflow_installation (subject_id, pk);
CREATE INDEX grantflow_installation_suspended ON grantflow_installation (pk) WHERE suspended_by IS NOT NULL;
CREATE INDEX grantflow_outbox_pending ON grantflow_outbox (pk) WHERE delivered_at IS NULL;
CREATE INDEX grantflow_revocation_due ON grantflow_revocation (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX grantflow_token_set_refresh ON grantflow_token_set (refresh_at) WHERE refresh_at IS NOT NULL;
CREATE UNIQUE INDEX grantflow_transition_key ON grantflow_transition (installation_pk, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TRIGGER grantflow_transition_no_update BEFORE UPDATE ON grantflow_transition BEGIN SELECT RAISE(ABORT, 'grantflow_transition is append-only'); END;
CREATE TRIGGER grantflow_transition_no_delete BEFORE DELETE ON grantflow_transition BEGIN SELECT RAISE(ABORT, 'grantflow_transition is append-only'); END;
CREATE TRIGGER grantflow_action_no_update BEFORE UPDATE ON grantflow_action BEGIN SELECT RAISE(ABORT, 'grantflow_action is append-only'); END;
CREATE TRIGGER grantflow_action_no_delete BEFORE DELETE ON grantflow_action BEGIN SELECT RAISE(ABORT, 'grantflow_action is append-only'); END;
COMMIT;
