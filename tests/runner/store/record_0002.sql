BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE artifact (
	id TEXT NOT NULL,
	study_id TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	kind TEXT NOT NULL,
	bytes BIGINT NOT NULL,
	uri TEXT NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_artifact PRIMARY KEY (id),
	CONSTRAINT ck_artifact_bytes CHECK (bytes >= 0),
	CONSTRAINT fk_artifact_study_id FOREIGN KEY(study_id) REFERENCES study (id) ON DELETE CASCADE,
	CONSTRAINT uq_artifact_study_id_kind_sha256_uri UNIQUE (study_id, kind, sha256, uri)
);
INSERT INTO "artifact" VALUES('aa84d96731914b19aaa132890078d346','614bed66ab074e15872bbfce17bab631','0000000000000000000000000000000000000000000000000000000000000000','onnx',1234,'exports/model.onnx','2026-01-01 00:00:11.000000');
CREATE TABLE device (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	reference_ms DOUBLE,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_device PRIMARY KEY (id),
	CONSTRAINT ck_device_reference_ms_finite CHECK (reference_ms BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308)
);
INSERT INTO "device" VALUES('laptop','laptop','{"cores":2}',2.0,'2026-01-01 00:00:01.000000');
CREATE TABLE evaluation (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	study_id TEXT NOT NULL,
	sequence BIGINT NOT NULL,
	digest TEXT NOT NULL,
	architecture_json TEXT NOT NULL,
	fidelity TEXT NOT NULL,
	seed BIGINT NOT NULL,
	origin TEXT NOT NULL,
	state TEXT NOT NULL,
	failure_kind TEXT,
	failure_message TEXT,
	attempt BIGINT NOT NULL,
	duration_ms DOUBLE,
	created_at DATETIME NOT NULL,
	CONSTRAINT ck_evaluation_failure CHECK ((state = 'failed') = (failure_kind IS NOT NULL)),
	CONSTRAINT ck_evaluation_state CHECK (state IN ('complete', 'failed')),
	CONSTRAINT fk_evaluation_study_id FOREIGN KEY(study_id) REFERENCES study (id) ON DELETE CASCADE,
	CONSTRAINT uq_evaluation_study_id_digest_fidelity_seed UNIQUE (study_id, digest, fidelity, seed),
	CONSTRAINT uq_evaluation_study_id_sequence UNIQUE (study_id, sequence)
);
INSERT INTO "evaluation" VALUES(1,'614bed66ab074e15872bbfce17bab631',1,'0123456789ab','{"depth":3}','inherited',0,'search','complete',NULL,NULL,1,NULL,'2026-01-01 00:00:07.000000');
INSERT INTO "evaluation" VALUES(2,'614bed66ab074e15872bbfce17bab631',2,'ffff','{"depth":3}','inherited',0,'search','failed','non_finite','loss is NaN',2,NULL,'2026-01-01 00:00:08.000000');
INSERT INTO "evaluation" VALUES(3,'3c20d239ad144035b07b13abf2356b01',1,'eeee','{"depth":3}','inherited',0,'search','complete',NULL,NULL,1,NULL,'2026-01-01 00:00:09.000000');
CREATE TABLE event (
	study_id TEXT NOT NULL,
	sequence BIGINT NOT NULL,
	time DATETIME NOT NULL,
	kind TEXT NOT NULL,
	payload TEXT NOT NULL,
	CONSTRAINT pk_event PRIMARY KEY (study_id, sequence),
	CONSTRAINT fk_event_study_id FOREIGN KEY(study_id) REFERENCES study (id) ON DELETE CASCADE
);
INSERT INTO "event" VALUES('614bed66ab074e15872bbfce17bab631',1,'2026-01-01 00:00:02.000000','study.created','{"name":"digits"}');
INSERT INTO "event" VALUES('3c20d239ad144035b07b13abf2356b01',1,'2026-01-01 00:00:03.000000','study.created','{"name":"text"}');
INSERT INTO "event" VALUES('614bed66ab074e15872bbfce17bab631',2,'2026-01-01 00:00:04.000000','study.state','{"from":"created","reason":null,"to":"running"}');
INSERT INTO "event" VALUES('3c20d239ad144035b07b13abf2356b01',2,'2026-01-01 00:00:05.000000','study.state','{"from":"created","reason":"loss is NaN","to":"failed"}');
INSERT INTO "event" VALUES('614bed66ab074e15872bbfce17bab631',3,'2026-01-01 00:00:06.000000','stage.state','{"from":"pending","stage":"train","to":"running"}');
INSERT INTO "event" VALUES('614bed66ab074e15872bbfce17bab631',4,'2026-01-01 00:00:12.000000','note','{"text":"café"}');
INSERT INTO "event" VALUES('614bed66ab074e15872bbfce17bab631',5,'2026-01-01 00:00:14.000000','stage.state','{"from":"running","stage":"train","to":"complete"}');
CREATE TABLE measurement (
	id INTEGER NOT NULL,
	study_id TEXT NOT NULL,
	digest TEXT NOT NULL,
	device_id TEXT NOT NULL,
	runtime TEXT NOT NULL,
	metric TEXT NOT NULL,
	settings TEXT NOT NULL,
	p10 DOUBLE NOT NULL,
	p50 DOUBLE NOT NULL,
	p90 DOUBLE NOT NULL,
	repeats BIGINT NOT NULL,
	reference_p50 DOUBLE,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_measurement PRIMARY KEY (id),
	CONSTRAINT ck_measurement_percentiles CHECK (0 <= p10 AND p10 <= p50 AND p50 <= p90),
	CONSTRAINT ck_measurement_p90_finite CHECK (p90 BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
	CONSTRAINT fk_measurement_device_id FOREIGN KEY(device_id) REFERENCES device (id),
	CONSTRAINT fk_measurement_study_id FOREIGN KEY(study_id) REFERENCES study (id) ON DELETE CASCADE,
	CONSTRAINT uq_measurement_key UNIQUE (study_id, digest, device_id, runtime, metric, settings)
);
INSERT INTO "measurement" VALUES(1,'614bed66ab074e15872bbfce17bab631','0123456789ab','laptop','onnxruntime 1.31.1','latency_ms','{"batch":1,"dtype":"float32","threads":1}',0.9,1.0,1.25,100,2.0,'2026-01-01 00:00:10.000000');
CREATE TABLE reservation (
	study_id TEXT NOT NULL,
	digest TEXT NOT NULL,
	fidelity TEXT NOT NULL,
	seed BIGINT NOT NULL,
	sequence BIGINT NOT NULL,
	architecture_json TEXT NOT NULL,
	origin TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	owner TEXT NOT NULL,
	until DATETIME NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_reservation PRIMARY KEY (study_id, digest, fidelity, seed),
	CONSTRAINT ck_reservation_attempt CHECK (attempt >= 1),
	CONSTRAINT fk_reservation_study_id FOREIGN KEY(study_id) REFERENCES study (id) ON DELETE CASCADE,
	CONSTRAINT uq_reservation_study_id_sequence UNIQUE (study_id, sequence)
);
INSERT INTO "reservation" VALUES('614bed66ab074e15872bbfce17bab631','aaaa','inherited',0,1,'{"depth":3}','search',1,'me','2026-01-01 00:01:13.000000','2026-01-01 00:00:13.000000');
CREATE TABLE stage (
	study_id TEXT NOT NULL,
	name TEXT NOT NULL,
	position BIGINT NOT NULL,
	state TEXT NOT NULL,
	detail TEXT NOT NULL,
	started_at DATETIME,
	finished_at DATETIME,
	CONSTRAINT pk_stage PRIMARY KEY (study_id, name),
	CONSTRAINT ck_stage_state CHECK (state IN ('pending', 'running', 'complete', 'failed')),
	CONSTRAINT fk_stage_study_id FOREIGN KEY(study_id) REFERENCES study (id) ON DELETE CASCADE,
	CONSTRAINT uq_stage_study_id_position UNIQUE (study_id, position)
);
INSERT INTO "stage" VALUES('614bed66ab074e15872bbfce17bab631','train',0,'complete','{"step":2}','2026-01-01 00:00:06.000000','2026-01-01 00:00:14.000000');
INSERT INTO "stage" VALUES('614bed66ab074e15872bbfce17bab631','profile',1,'pending','{}',NULL,NULL);
CREATE TABLE study (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	spec TEXT NOT NULL,
	spec_digest TEXT NOT NULL,
	state TEXT NOT NULL,
	reason TEXT,
	seed BIGINT NOT NULL,
	device_id TEXT,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	finished_at DATETIME,
	CONSTRAINT pk_study PRIMARY KEY (id),
	CONSTRAINT ck_study_state CHECK (state IN ('created', 'running', 'interrupted', 'failed', 'complete')),
	CONSTRAINT fk_study_device_id FOREIGN KEY(device_id) REFERENCES device (id),
	CONSTRAINT uq_study_name UNIQUE (name)
);
INSERT INTO "study" VALUES('614bed66ab074e15872bbfce17bab631','digits','{"seed":7}','abc','running',NULL,7,'laptop','2026-01-01 00:00:02.000000','2026-01-01 00:00:14.000000',NULL);
INSERT INTO "study" VALUES('3c20d239ad144035b07b13abf2356b01','text','{}','def','failed','loss is NaN',0,NULL,'2026-01-01 00:00:03.000000','2026-01-01 00:00:05.000000','2026-01-01 00:00:05.000000');
CREATE TABLE value (
	id INTEGER NOT NULL,
	evaluation_id INTEGER NOT NULL,
	metric TEXT NOT NULL,
	provenance TEXT NOT NULL,
	device_id TEXT,
	value DOUBLE NOT NULL,
	lower DOUBLE,
	upper DOUBLE,
	CONSTRAINT pk_value PRIMARY KEY (id),
	CONSTRAINT ck_value_provenance CHECK (provenance IN ('computed', 'predicted', 'inherited', 'retrained', 'exported')),
	CONSTRAINT ck_value_lower_finite CHECK (lower BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
	CONSTRAINT ck_value_upper_finite CHECK (upper BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
	CONSTRAINT ck_value_value_finite CHECK (value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
	CONSTRAINT fk_value_device_id FOREIGN KEY(device_id) REFERENCES device (id),
	CONSTRAINT fk_value_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluation (id) ON DELETE CASCADE,
	CONSTRAINT uq_value_evaluation_id_metric_provenance_device_id UNIQUE (evaluation_id, metric, provenance, device_id)
);
INSERT INTO "value" VALUES(1,1,'error','inherited',NULL,0.125,NULL,NULL);
INSERT INTO "value" VALUES(2,1,'latency_ms','predicted',NULL,1.5,1.0,2.0);
INSERT INTO "value" VALUES(3,1,'model_bytes','computed',NULL,1000000.0,NULL,NULL);
INSERT INTO "value" VALUES(4,3,'error','inherited',NULL,0.125,NULL,NULL);
INSERT INTO "value" VALUES(5,3,'latency_ms','predicted',NULL,1.5,1.0,2.0);
INSERT INTO "value" VALUES(6,3,'model_bytes','computed',NULL,1000000.0,NULL,NULL);
INSERT INTO "value" VALUES(7,1,'latency_ms','exported','laptop',1.25,NULL,NULL);
INSERT INTO "value" VALUES(8,1,'latency_ms','exported',NULL,1.75,NULL,NULL);
INSERT INTO "value" VALUES(9,1,'error','retrained',NULL,0.0625,NULL,NULL);
CREATE UNIQUE INDEX uq_value_without_device ON value (evaluation_id, metric, provenance) WHERE device_id IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('evaluation',3);
COMMIT;
