-- What the parts of oxcart keep in PostgreSQL lies in a schema of its own.

CREATE SCHEMA IF NOT EXISTS oxcart;

-- Which of these files were run.
CREATE TABLE oxcart.migration (
  version int4 PRIMARY KEY,
  name text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);

-- One row: by which name queues know this database. A copy of the database that is used beside it needs another one.
CREATE TABLE oxcart.installation (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  only_one bool PRIMARY KEY DEFAULT true CHECK (only_one)
);
INSERT INTO oxcart.installation DEFAULT VALUES;

INSERT INTO oxcart.migration (version, name) VALUES (1, 'schema');
