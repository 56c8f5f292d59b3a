BEGIN TRANSACTION;
CREATE TABLE ulpt_claims (
	study INTEGER NOT NULL,
	token VARCHAR NOT NULL,
	host VARCHAR NOT NULL,
	machine VARCHAR NOT NULL,
	pid BIGINT NOT NULL,
	started VARCHAR NOT NULL,
	since VARCHAR NOT NULL,
	heartbeat DOUBLE NOT NULL,
	PRIMARY KEY (study),
	FOREIGN KEY(study) REFERENCES ulpt_studies (id)
);
CREATE TABLE ulpt_problems (
	id INTEGER NOT NULL,
	study INTEGER NOT NULL,
	trial INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	error VARCHAR NOT NULL,
	fatal BOOLEAN NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(study, trial) REFERENCES ulpt_trials (study, number),
	UNIQUE (study, trial, attempt),
	FOREIGN KEY(study) REFERENCES ulpt_studies (id)
);
CREATE TABLE ulpt_results (
	id INTEGER NOT NULL,
	study INTEGER NOT NULL,
	trial INTEGER NOT NULL,
	step INTEGER NOT NULL,
	split VARCHAR NOT NULL,
	score DOUBLE,
	variance DOUBLE,
	loss DOUBLE,
	seconds DOUBLE,
	adapter VARCHAR NOT NULL,
	bytes BIGINT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(study, trial) REFERENCES ulpt_trials (study, number),
	UNIQUE (study, trial, step, split),
	FOREIGN KEY(study) REFERENCES ulpt_studies (id)
);
INSERT INTO "ulpt_results" VALUES(1,1,2,2,'validation',0.34375,0.007049560546875,3.69829225540161132812e+00,0.0464196880000145,'07e2a6b1df7d6f3e479fd504b8330f69ef55d297f347df542f5937648a14aed7',392);
INSERT INTO "ulpt_results" VALUES(2,1,3,2,'validation',0.3125,0.0067138671875,1.85363554954528808593e+00,3.08420070000465784687e-02,'486185f0d9ca627f8f228c7b4846af2658993e667bc6411c5faea37e19bf36bb',320);
INSERT INTO "ulpt_results" VALUES(3,1,1,2,'validation',0.375,0.00732421875,4.61037397384643554687e+00,2.40014304999931482598e-02,'01118b2e6b9aa3f792ed2805f89d17122a9feb576f5c6fd9cbb071d5ad5f89d6',328);
INSERT INTO "ulpt_results" VALUES(4,1,0,2,'validation',0.34375,0.007049560546875,2.91105699539184570312e+00,2.40014304999931482598e-02,'c4c79f974fbc1954a32490c70562152c3eaf99fb47ea5737996539906508f544',136);
INSERT INTO "ulpt_results" VALUES(5,1,1,4,'validation',0.4375,0.0076904296875,2.05579805374145507812e+00,1.05310229999986404436e-02,'d72e2f868816d7494edd55570e1acc3541b5b5b7f77906fac5861b89b2961e4f',328);
INSERT INTO "ulpt_results" VALUES(6,1,0,4,'validation',0.34375,0.007049560546875,2.80057239532470703125e+00,1.05310229999986404436e-02,'e2f00dfb16e262ddd085a3b17b4eaf7443c66694054a98b082eb723f327bceef',136);
INSERT INTO "ulpt_results" VALUES(7,1,2,4,'validation',0.34375,0.007049560546875,2.35652971267700195312e+00,4.35326750000513129634e-02,'eef6f18f889efe0494f483b12fa162dd8206f5bafef5a910afef199785210780',392);
INSERT INTO "ulpt_results" VALUES(8,1,3,4,'validation',0.34375,0.007049560546875,1.17689681053161621093e+00,3.34846509999806585256e-02,'4be8d3eb05141f803642340d519ae160ddc0d845806fb9d5adad30782a10345a',320);
INSERT INTO "ulpt_results" VALUES(9,1,1,8,'validation',0.40625,0.007537841796875,1.28738880157470703125e+00,3.28375400000027184432e-02,'cb11db2d65ea647a666f28e00588ab89cbf3079546fcfb2c908629538de3c4f2',328);
INSERT INTO "ulpt_results" VALUES(10,1,0,8,'validation',0.34375,0.007049560546875,3.41786289215087890625e+00,3.28375400000027184432e-02,'f1015d6c945641686d96f70dd5cda9efa2e1795caa6502ee339210cf6de95d87',136);
INSERT INTO "ulpt_results" VALUES(11,1,5,2,'validation',0.34375,0.007049560546875,3.72963738441467285156e+00,2.62140510000108406529e-02,'fa1d30304a77e2add073866aef133bf0ab946e9b3aa38d670d8f8862ad77809a',464);
INSERT INTO "ulpt_results" VALUES(12,1,4,2,'validation',0.34375,0.007049560546875,2.93584656715393066406e+00,2.40320369999835747876e-02,'28bd0f1ec32d099e97f303137272177d3adfabc9ceaf81360edecf439fc33213',456);
INSERT INTO "ulpt_results" VALUES(13,1,8,8,'validation',0.28125,0.006317138671875,2.25778079032897949218e+00,4.02080549999936920357e-02,'46afc0b00fce7343c321d0964464ae070e6c6498ec2f27a8493d9b36a388b598',328);
INSERT INTO "ulpt_results" VALUES(14,1,8,8,'test',0.28125,0.006317138671875,2.25778079032897949218e+00,4.02080549999936920357e-02,'46afc0b00fce7343c321d0964464ae070e6c6498ec2f27a8493d9b36a388b598',328);
INSERT INTO "ulpt_results" VALUES(15,1,9,8,'validation',0.34375,0.007049560546875,1.9539743661880493164e+00,4.02080549999936920357e-02,'7cb4510adacddac8e51536be63864abe79d74c99f37248dfb87a61d09597eaea',328);
INSERT INTO "ulpt_results" VALUES(16,1,9,8,'test',0.28125,0.006317138671875,1.9539743661880493164e+00,4.02080549999936920357e-02,'7cb4510adacddac8e51536be63864abe79d74c99f37248dfb87a61d09597eaea',328);
INSERT INTO "ulpt_results" VALUES(17,1,6,8,'validation',0.34375,0.007049560546875,2.00600457191467285156e+00,4.02080549999936920357e-02,'268466eadb376e31b2e902c76787c10fde05f18747081c21b27e54b2f9c0ec2b',136);
INSERT INTO "ulpt_results" VALUES(18,1,6,8,'test',0.34375,0.007049560546875,2.00600457191467285156e+00,4.02080549999936920357e-02,'268466eadb376e31b2e902c76787c10fde05f18747081c21b27e54b2f9c0ec2b',136);
INSERT INTO "ulpt_results" VALUES(19,1,7,8,'validation',0.375,0.00732421875,2.71304941177368164062e+00,4.02080549999936920357e-02,'dca391ffac467d7dd7276d200a3e9b0d0ed78f1db9445b787f8dea6dacb5dc45',136);
INSERT INTO "ulpt_results" VALUES(20,1,7,8,'test',0.3125,0.0067138671875,2.71304941177368164062e+00,4.02080549999936920357e-02,'dca391ffac467d7dd7276d200a3e9b0d0ed78f1db9445b787f8dea6dacb5dc45',136);
INSERT INTO "ulpt_results" VALUES(21,2,1,2,'validation',0.375,0.00732421875,4.61037397384643554687e+00,2.59065650000138703035e-02,'01118b2e6b9aa3f792ed2805f89d17122a9feb576f5c6fd9cbb071d5ad5f89d6',328);
INSERT INTO "ulpt_results" VALUES(22,2,0,2,'validation',0.34375,0.007049560546875,2.91105699539184570312e+00,2.59065650000138703035e-02,'c4c79f974fbc1954a32490c70562152c3eaf99fb47ea5737996539906508f544',136);
INSERT INTO "ulpt_results" VALUES(23,2,1,4,'validation',0.4375,0.0076904296875,2.05579805374145507812e+00,4.89017930000272826873e-02,'d72e2f868816d7494edd55570e1acc3541b5b5b7f77906fac5861b89b2961e4f',328);
INSERT INTO "ulpt_results" VALUES(24,2,0,4,'validation',0.34375,0.007049560546875,2.80057239532470703125e+00,4.89017930000272826873e-02,'e2f00dfb16e262ddd085a3b17b4eaf7443c66694054a98b082eb723f327bceef',136);
CREATE TABLE ulpt_studies (
	id INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	space JSON NOT NULL,
	budget BIGINT NOT NULL,
	seed BIGINT NOT NULL,
	fingerprint VARCHAR NOT NULL,
	task_digest VARCHAR NOT NULL,
	created VARCHAR NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (name)
);
INSERT INTO "ulpt_studies" VALUES(1,'whole','{"name": "space", "model": {"name": "{folder}/encoder", "dtype": "auto", "device": "auto"}, "task": {"name": "colours", "path": "{folder}/colours.jsonl", "hub": null, "text_a": "text_a", "text_b": "text_b", "label": "label", "labels": {}, "metric": null, "max_tokens": 128, "limit": null}, "training": {"steps": 8, "rungs": [2, 4, 8], "batch": 4, "warmup": 0.06, "clip": 1.0}, "methods": {"ulpt": {"dim": {"int": [2, 4], "log": false}, "prompt_length": 4, "lr": {"float": [0.003, 0.6], "log": true}, "scale": {"choice": [true, false]}, "shift": {"choice": [true, false]}, "gain": {"float": [0.1, 3.0], "log": true}}, "prompt": {"prompt_length": {"int": [1, 3], "log": false}, "lr": {"float": [0.001, 0.3], "log": true}}, "lora": {"rank": 1, "alpha": {"float": [1.0, 64.0], "log": true}, "lr": {"float": [0.0001, 0.03], "log": true}, "layers": "last:1", "modules": {"choice": ["q,v", "v", "down", "q,k,v,o"]}}}, "trials": 6, "seeds": 3, "finalists": 2, "objectives": ["score", "parameters"]}',200,0,'9a4359cee1e2dd79e886c9fc8f95dd70a7dfc13260a41e5abcbb2290826153a5','ce22c86c11cbcee52430f32ec6f110502011ae7ae9fe46fc272f1a72578d13c5','2026-11-28T00:26:19+00:00');
INSERT INTO "ulpt_studies" VALUES(2,'half','{"name": "space", "model": {"name": "{folder}/encoder", "dtype": "auto", "device": "auto"}, "task": {"name": "colours", "path": "{folder}/colours.jsonl", "hub": null, "text_a": "text_a", "text_b": "text_b", "label": "label", "labels": {}, "metric": null, "max_tokens": 128, "limit": null}, "training": {"steps": 8, "rungs": [2, 4, 8], "batch": 4, "warmup": 0.06, "clip": 1.0}, "methods": {"ulpt": {"dim": {"int": [2, 4], "log": false}, "prompt_length": 4, "lr": {"float": [0.003, 0.6], "log": true}, "scale": {"choice": [true, false]}, "shift": {"choice": [true, false]}, "gain": {"float": [0.1, 3.0], "log": true}}, "prompt": {"prompt_length": {"int": [1, 3], "log": false}, "lr": {"float": [0.001, 0.3], "log": true}}, "lora": {"rank": 1, "alpha": {"float": [1.0, 64.0], "log": true}, "lr": {"float": [0.0001, 0.03], "log": true}, "layers": "last:1", "modules": {"choice": ["q,v", "v", "down", "q,k,v,o"]}}}, "trials": 6, "seeds": 3, "finalists": 2, "objectives": ["score", "parameters"]}',200,0,'9a4359cee1e2dd79e886c9fc8f95dd70a7dfc13260a41e5abcbb2290826153a5','ce22c86c11cbcee52430f32ec6f110502011ae7ae9fe46fc272f1a72578d13c5','2026-11-28T00:30:20+00:00');
CREATE TABLE ulpt_trials (
	study INTEGER NOT NULL,
	number INTEGER NOT NULL,
	method VARCHAR NOT NULL,
	hyperparameters JSON NOT NULL,
	seed BIGINT NOT NULL,
	parameters BIGINT NOT NULL,
	purpose VARCHAR NOT NULL,
	finalist INTEGER,
	PRIMARY KEY (study, number),
	FOREIGN KEY(study) REFERENCES ulpt_studies (id)
);
INSERT INTO "ulpt_trials" VALUES(1,0,'ulpt','{"dim": 4, "prompt_length": 4, "lr": 0.03604308678194228, "scale": false, "shift": false, "gain": 0.4518379031968384}',0,16,'search',NULL);
INSERT INTO "ulpt_trials" VALUES(1,1,'prompt','{"prompt_length": 2, "lr": 0.1437548655477363}',2,64,'search',NULL);
INSERT INTO "ulpt_trials" VALUES(1,2,'lora','{"rank": 1, "alpha": 10.979802679676826, "lr": 0.005761065781219115, "layers": "last:1", "modules": "v"}',1,64,'search',NULL);
INSERT INTO "ulpt_trials" VALUES(1,3,'ulpt','{"dim": 4, "prompt_length": 4, "lr": 0.20271637932952424, "scale": false, "shift": true, "gain": 2.1278160271485906}',0,48,'search',NULL);
INSERT INTO "ulpt_trials" VALUES(1,4,'prompt','{"prompt_length": 3, "lr": 0.0018144223824557108}',0,96,'search',NULL);
INSERT INTO "ulpt_trials" VALUES(1,5,'lora','{"rank": 1, "alpha": 1.1125771115640786, "lr": 0.0004001681853257567, "layers": "last:1", "modules": "down"}',1,80,'search',NULL);
INSERT INTO "ulpt_trials" VALUES(1,6,'ulpt','{"dim": 4, "prompt_length": 4, "lr": 0.03604308678194228, "scale": false, "shift": false, "gain": 0.4518379031968384}',1000,16,'final',0);
INSERT INTO "ulpt_trials" VALUES(1,7,'ulpt','{"dim": 4, "prompt_length": 4, "lr": 0.03604308678194228, "scale": false, "shift": false, "gain": 0.4518379031968384}',1001,16,'final',0);
INSERT INTO "ulpt_trials" VALUES(1,8,'prompt','{"prompt_length": 2, "lr": 0.1437548655477363}',1000,64,'final',1);
INSERT INTO "ulpt_trials" VALUES(1,9,'prompt','{"prompt_length": 2, "lr": 0.1437548655477363}',1001,64,'final',1);
INSERT INTO "ulpt_trials" VALUES(2,0,'ulpt','{"dim": 4, "prompt_length": 4, "lr": 0.03604308678194228, "scale": false, "shift": false, "gain": 0.4518379031968384}',0,16,'search',NULL);
INSERT INTO "ulpt_trials" VALUES(2,1,'prompt','{"prompt_length": 2, "lr": 0.1437548655477363}',2,64,'search',NULL);
INSERT INTO "ulpt_trials" VALUES(2,2,'lora','{"rank": 1, "alpha": 10.979802679676826, "lr": 0.005761065781219115, "layers": "last:1", "modules": "v"}',1,64,'search',NULL);
INSERT INTO "ulpt_trials" VALUES(2,3,'ulpt','{"dim": 4, "prompt_length": 4, "lr": 0.20271637932952424, "scale": false, "shift": true, "gain": 2.1278160271485906}',0,48,'search',NULL);
CREATE TABLE ulpt_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT ulpt_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "ulpt_version" VALUES('0001');
COMMIT;
