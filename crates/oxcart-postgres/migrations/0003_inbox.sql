-- The inbox: which jobs and messages have had their effect in this database.

-- A job that has had, or is about to have, an effect here. A transaction that writes one holds the row until it ends.
CREATE TABLE oxcart.inbox_job (
  job text NOT NULL,
  -- Tells jobs of the same id apart: those of other queues, and those that came when the first was removed.
  incarnation text NOT NULL,
  queue text NOT NULL,
  -- The largest fence seen. An attempt with a smaller one is refused.
  fence int8 NOT NULL,
  -- What the effect gave, once there was one.
  effect bytea,
  -- What the job gave, once it was completed here.
  output bytea,
  -- The transaction that has completed the job.
  completed_by xid8,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (job, incarnation)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE INDEX inbox_job_seen_at ON oxcart.inbox_job (seen_at);

-- A message from elsewhere.
CREATE TABLE oxcart.inbox_message (
  consumer text NOT NULL,
  message text NOT NULL,
  effect bytea,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, message)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE INDEX inbox_message_seen_at ON oxcart.inbox_message (seen_at);

INSERT INTO oxcart.migration (version, name) VALUES (3, 'inbox');
