-- Texera's tables, as far as this project knows them; written for its tests.
CREATE SCHEMA texera_db;
CREATE TABLE texera_db.workflow (
  wid serial PRIMARY KEY,
  name varchar(128) NOT NULL,
  description varchar(500),
  content text NOT NULL,
  creation_time timestamp NOT NULL DEFAULT current_timestamp,
  last_modified_time timestamp NOT NULL DEFAULT current_timestamp,
  is_public boolean NOT NULL DEFAULT false
);
CREATE TABLE texera_db.workflow_version (
  vid serial PRIMARY KEY,
  wid int NOT NULL REFERENCES texera_db.workflow ON DELETE CASCADE,
  content text NOT NULL,
  creation_time timestamp NOT NULL DEFAULT current_timestamp
);
CREATE TYPE texera_db.privilege_enum AS ENUM ('NONE', 'READ', 'WRITE');
CREATE TABLE texera_db.workflow_user_access (
  uid int NOT NULL,
  wid int NOT NULL REFERENCES texera_db.workflow ON DELETE CASCADE,
  privilege texera_db.privilege_enum NOT NULL DEFAULT 'NONE',
  PRIMARY KEY (uid, wid)
);
CREATE TABLE texera_db.notebook (
  nid serial PRIMARY KEY,
  wid int NOT NULL UNIQUE REFERENCES texera_db.workflow ON DELETE CASCADE,
  notebook jsonb NOT NULL,
  UNIQUE (wid, nid)
);
CREATE TABLE texera_db.workflow_notebook_mapping (
  wid int NOT NULL,
  vid int NOT NULL REFERENCES texera_db.workflow_version ON DELETE CASCADE,
  nid int NOT NULL,
  mapping jsonb NOT NULL,
  PRIMARY KEY (wid, vid, nid),
  FOREIGN KEY (wid, nid) REFERENCES texera_db.notebook (wid, nid) ON DELETE CASCADE
);
-- apart from what the other tests store
ALTER SEQUENCE texera_db.workflow_wid_seq RESTART 190001;
ALTER SEQUENCE texera_db.workflow_version_vid_seq RESTART 190001;
ALTER SEQUENCE texera_db.notebook_nid_seq RESTART 190001;
