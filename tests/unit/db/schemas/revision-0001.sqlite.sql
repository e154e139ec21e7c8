BEGIN TRANSACTION;
CREATE TABLE attempt (
	id VARCHAR NOT NULL, 
	run VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	token VARCHAR NOT NULL, 
	started_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run) REFERENCES run (id)
);
INSERT INTO "attempt" VALUES('a-s1-0','s1-0',1,'t','2026-01-01 12:00:00.000000');
INSERT INTO "attempt" VALUES('a-s1-1','s1-1',1,'t','2026-01-01 12:00:00.000000');
INSERT INTO "attempt" VALUES('a-s2-0','s2-0',1,'t','2026-01-01 12:00:00.000000');
INSERT INTO "attempt" VALUES('a-s3','s3-0',1,'t','2026-01-01 12:00:00.000000');
CREATE TABLE competition (
	id VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	spec VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "competition" VALUES('wheat','Wheat','wheat.zip','{"format":"v2","title":"Wheat","description":"","image":null,"terms":"","terms_file":null,"pages":[],"tasks":[{"index":0,"name":"t","description":null,"key":null,"scoring_program":null,"ingestion_program":null,"input_data":null,"reference_data":null,"ingestion_only_during_scoring":false,"extras":{}},{"index":1,"name":"u","description":null,"key":null,"scoring_program":null,"ingestion_program":null,"input_data":null,"reference_data":null,"ingestion_only_during_scoring":false,"extras":{}}],"phases":[],"leaderboards":[],"solutions":[],"fact_sheet":[],"docker_image":"codalab/codalab-legacy:py37","registration_auto_approve":false,"make_programs_available":false,"make_input_data_available":false,"enable_detailed_results":false,"show_detailed_results_in_submission_panel":true,"show_detailed_results_in_leaderboard":true,"auto_run_submissions":true,"can_participants_make_submissions_public":true,"forum_enabled":true,"competition_type":"competition","queue":null,"reward":null,"contact_email":null,"extras":{}}','2026-01-01 12:00:00.000000');
CREATE TABLE lease (
	name VARCHAR NOT NULL, 
	holder VARCHAR NOT NULL, 
	token VARCHAR NOT NULL, 
	expires_at DATETIME NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('format','1');
CREATE TABLE run (
	id VARCHAR NOT NULL, 
	submission VARCHAR NOT NULL, 
	task VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	last_event INTEGER NOT NULL, 
	attempt VARCHAR, 
	outcome VARCHAR, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(submission) REFERENCES submission (id)
);
INSERT INTO "run" VALUES('s1-0','s1','0',0,'Finished',8,'a-s1-0','{"status":"Finished","scores":{"score":0.1,"time":3.0},"raw_scores":{},"problem":null,"warnings":[],"steps":[{"name":"prediction","digest":"sha256:cc","exits":{"program":{"reason":"exited","code":0,"seconds":1.5,"detail":null,"fault":null}},"output":{"digest":"sha256:aa","archive":"sha256-bb","size":3,"files":1},"logs":[],"usage":{},"seconds":2.0,"skipped":false}],"detailed_results":null,"events":null,"provenance":{},"seconds":4.0}','2026-01-01 12:00:00.000000');
INSERT INTO "run" VALUES('s1-1','s1','1',1,'Finished',8,'a-s1-1','{"status":"Finished","scores":{"score":0.1,"time":3.0},"raw_scores":{},"problem":null,"warnings":[],"steps":[{"name":"prediction","digest":"sha256:cc","exits":{"program":{"reason":"exited","code":0,"seconds":1.5,"detail":null,"fault":null}},"output":{"digest":"sha256:aa","archive":"sha256-bb","size":3,"files":1},"logs":[],"usage":{},"seconds":2.0,"skipped":false}],"detailed_results":null,"events":null,"provenance":{},"seconds":4.0}','2026-01-01 12:00:00.000000');
INSERT INTO "run" VALUES('s2-0','s2','0',0,'Failed',4,'a-s2-0','{"status":"Failed","scores":{},"raw_scores":{},"problem":{"code":"CB601","severity":"error","message":"no engine","hint":null,"where":{"file":null,"line":null,"column":null,"end_line":null,"end_column":null,"excerpt":null},"also":[],"fault":"operator","fix":null},"warnings":[],"steps":[{"name":"prediction","digest":"sha256:cc","exits":{"program":{"reason":"exited","code":0,"seconds":1.5,"detail":null,"fault":null}},"output":{"digest":"sha256:aa","archive":"sha256-bb","size":3,"files":1},"logs":[],"usage":{},"seconds":2.0,"skipped":false}],"detailed_results":null,"events":null,"provenance":{},"seconds":0.0}','2026-01-01 12:00:00.000000');
INSERT INTO "run" VALUES('s3-0','s3','0',0,'Preparing',2,'a-s3',NULL,'2026-01-01 12:00:00.000000');
INSERT INTO "run" VALUES('s4-0','s4','0',0,'Failed',2,NULL,'{"status":"Failed","scores":{},"raw_scores":{},"problem":{"code":"CB500","severity":"error","message":"exit 1","hint":null,"where":{"file":null,"line":null,"column":null,"end_line":null,"end_column":null,"excerpt":null},"also":[],"fault":"participant","fix":null},"warnings":[],"steps":[],"detailed_results":null,"events":null,"provenance":{},"seconds":0.0}','2026-01-01 12:00:00.000000');
INSERT INTO "run" VALUES('s5-0','s5','0',0,'Submitted',1,NULL,NULL,'2026-01-01 12:00:00.000000');
CREATE TABLE score (
	run VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	value FLOAT NOT NULL, 
	PRIMARY KEY (run, "key"), 
	FOREIGN KEY(run) REFERENCES run (id)
);
INSERT INTO "score" VALUES('s1-0','score',0.1);
INSERT INTO "score" VALUES('s1-0','time',3.0);
INSERT INTO "score" VALUES('s1-1','score',0.1);
INSERT INTO "score" VALUES('s1-1','time',3.0);
CREATE TABLE status_event (
	run VARCHAR NOT NULL, 
	sequence INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	attempt VARCHAR, 
	data VARCHAR NOT NULL, 
	PRIMARY KEY (run, sequence), 
	FOREIGN KEY(run) REFERENCES run (id)
);
INSERT INTO "status_event" VALUES('s1-0',1,'RunQueued','2026-01-01 12:00:00.000000',NULL,'{}');
INSERT INTO "status_event" VALUES('s1-1',1,'RunQueued','2026-01-01 12:00:00.000000',NULL,'{}');
INSERT INTO "status_event" VALUES('s2-0',1,'RunQueued','2026-01-01 12:00:00.000000',NULL,'{}');
INSERT INTO "status_event" VALUES('s3-0',1,'RunQueued','2026-01-01 12:00:00.000000',NULL,'{}');
INSERT INTO "status_event" VALUES('s4-0',1,'RunQueued','2026-01-01 12:00:00.000000',NULL,'{}');
INSERT INTO "status_event" VALUES('s5-0',1,'RunQueued','2026-01-01 12:00:00.000000',NULL,'{}');
INSERT INTO "status_event" VALUES('s1-0',2,'AttemptStarted','2026-01-01 12:00:00.000000','a-s1-0','{}');
INSERT INTO "status_event" VALUES('s1-0',3,'PredictionStarted','2026-01-01 12:00:00.000000','a-s1-0','{}');
INSERT INTO "status_event" VALUES('s1-0',4,'PredictionFinished','2026-01-01 12:00:09.000000','a-s1-0','{}');
INSERT INTO "status_event" VALUES('s1-0',5,'ScoringStarted','2026-01-01 12:00:09.000000','a-s1-0','{}');
INSERT INTO "status_event" VALUES('s1-0',6,'ScoringFinished','2026-01-01 12:00:09.000000','a-s1-0','{}');
INSERT INTO "status_event" VALUES('s1-0',7,'ScoresParsed','2026-01-01 12:00:09.000000','a-s1-0','{}');
INSERT INTO "status_event" VALUES('s1-0',8,'RunFinished','2026-01-01 12:00:09.000000','a-s1-0','{}');
INSERT INTO "status_event" VALUES('s1-1',2,'AttemptStarted','2026-01-01 12:00:00.000000','a-s1-1','{}');
INSERT INTO "status_event" VALUES('s1-1',3,'PredictionStarted','2026-01-01 12:00:00.000000','a-s1-1','{}');
INSERT INTO "status_event" VALUES('s1-1',4,'PredictionFinished','2026-01-01 12:00:09.000000','a-s1-1','{}');
INSERT INTO "status_event" VALUES('s1-1',5,'ScoringStarted','2026-01-01 12:00:09.000000','a-s1-1','{}');
INSERT INTO "status_event" VALUES('s1-1',6,'ScoringFinished','2026-01-01 12:00:09.000000','a-s1-1','{}');
INSERT INTO "status_event" VALUES('s1-1',7,'ScoresParsed','2026-01-01 12:00:09.000000','a-s1-1','{}');
INSERT INTO "status_event" VALUES('s1-1',8,'RunFinished','2026-01-01 12:00:09.000000','a-s1-1','{}');
INSERT INTO "status_event" VALUES('s2-0',2,'AttemptStarted','2026-01-01 12:00:00.000000','a-s2-0','{}');
INSERT INTO "status_event" VALUES('s2-0',3,'PredictionStarted','2026-01-01 12:00:00.000000','a-s2-0','{}');
INSERT INTO "status_event" VALUES('s2-0',4,'RunFailed','2026-01-01 12:00:00.000000','a-s2-0','{}');
INSERT INTO "status_event" VALUES('s3-0',2,'AttemptStarted','2026-01-01 12:00:00.000000','a-s3','{}');
INSERT INTO "status_event" VALUES('s4-0',2,'RunFailed','2026-01-01 12:00:00.000000',NULL,'{}');
CREATE TABLE submission (
	sequence INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	competition VARCHAR NOT NULL, 
	phase INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	participant VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	tree VARCHAR NOT NULL, 
	tasks VARCHAR NOT NULL, 
	fact_sheet VARCHAR NOT NULL, 
	options VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (sequence), 
	UNIQUE (competition, participant, number), 
	UNIQUE (id), 
	FOREIGN KEY(competition) REFERENCES competition (id)
);
INSERT INTO "submission" VALUES(1,'s1','wheat',0,'s1.zip','ada',1,'{"digest":"sha256:aa","archive":"sha256-bb","size":3,"files":1}','[]','null','{"policy":{"name":"standard","network":"none","user":"nobody","writable_program":true,"writable_inputs":false,"read_only_root":true,"no_new_privileges":true,"gpus":null,"hosts":null,"local_data":[],"limits":{"memory":null,"cpus":null,"pids":1024,"shm":1073741824,"tmp":4294967296,"nofile":null,"output":null,"output_files":null},"log_keep":1048576,"registries":null},"image":null,"pull":"missing","platform":null,"time_limit":null,"keep":false}','2026-01-01 12:01:00.000000');
INSERT INTO "submission" VALUES(2,'s2','wheat',0,'s2.zip','bob',1,'{"digest":"sha256:aa","archive":"sha256-bb","size":3,"files":1}','[]','null','{"policy":{"name":"standard","network":"none","user":"nobody","writable_program":true,"writable_inputs":false,"read_only_root":true,"no_new_privileges":true,"gpus":null,"hosts":null,"local_data":[],"limits":{"memory":null,"cpus":null,"pids":1024,"shm":1073741824,"tmp":4294967296,"nofile":null,"output":null,"output_files":null},"log_keep":1048576,"registries":null},"image":null,"pull":"missing","platform":null,"time_limit":null,"keep":false}','2026-01-01 12:02:00.000000');
INSERT INTO "submission" VALUES(3,'s3','wheat',0,'s3.zip','ada',2,'{"digest":"sha256:aa","archive":"sha256-bb","size":3,"files":1}','[]','null','{"policy":{"name":"standard","network":"none","user":"nobody","writable_program":true,"writable_inputs":false,"read_only_root":true,"no_new_privileges":true,"gpus":null,"hosts":null,"local_data":[],"limits":{"memory":null,"cpus":null,"pids":1024,"shm":1073741824,"tmp":4294967296,"nofile":null,"output":null,"output_files":null},"log_keep":1048576,"registries":null},"image":null,"pull":"missing","platform":null,"time_limit":null,"keep":false}','2026-01-01 12:03:00.000000');
INSERT INTO "submission" VALUES(4,'s4','wheat',0,'s4.zip','ada',3,'{"digest":"sha256:aa","archive":"sha256-bb","size":3,"files":1}','[]','null','{"policy":{"name":"standard","network":"none","user":"nobody","writable_program":true,"writable_inputs":false,"read_only_root":true,"no_new_privileges":true,"gpus":null,"hosts":null,"local_data":[],"limits":{"memory":null,"cpus":null,"pids":1024,"shm":1073741824,"tmp":4294967296,"nofile":null,"output":null,"output_files":null},"log_keep":1048576,"registries":null},"image":null,"pull":"missing","platform":null,"time_limit":null,"keep":false}','2026-01-01 12:04:00.000000');
INSERT INTO "submission" VALUES(5,'s5','wheat',0,'s5.zip','bob',2,'{"digest":"sha256:aa","archive":"sha256-bb","size":3,"files":1}','[]','null','{"policy":{"name":"standard","network":"none","user":"nobody","writable_program":true,"writable_inputs":false,"read_only_root":true,"no_new_privileges":true,"gpus":null,"hosts":null,"local_data":[],"limits":{"memory":null,"cpus":null,"pids":1024,"shm":1073741824,"tmp":4294967296,"nofile":null,"output":null,"output_files":null},"log_keep":1048576,"registries":null},"image":null,"pull":"missing","platform":null,"time_limit":null,"keep":false}','2026-01-01 12:05:00.000000');
CREATE TABLE tree (
	competition VARCHAR NOT NULL, 
	path VARCHAR NOT NULL, 
	ref VARCHAR NOT NULL, 
	PRIMARY KEY (competition, path), 
	FOREIGN KEY(competition) REFERENCES competition (id)
);
INSERT INTO "tree" VALUES('wheat','scoring_program','{"digest":"sha256:aa","archive":"sha256-bb","size":3,"files":1}');
INSERT INTO "tree" VALUES('wheat','reference_data','{"digest":"sha256:aa","archive":"sha256-bb","size":3,"files":1}');
CREATE INDEX ix_submission_competition ON submission (competition);
CREATE INDEX ix_run_submission ON run (submission);
CREATE INDEX ix_run_created_at ON run (created_at);
CREATE INDEX ix_run_status ON run (status);
CREATE INDEX ix_attempt_run ON attempt (run);
COMMIT;
