-- The event store.

-- A stream, and its last version. A transaction that appends holds the row until it ends, so versions become visible in their order.
CREATE TABLE oxcart.stream (
  name text PRIMARY KEY,
  version int8 NOT NULL CHECK (version > 0)
) WITH (fillfactor = 80);

CREATE TABLE oxcart.event (
  -- In the order of appending; those of open transactions are missing, and may come later.
  id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream text NOT NULL,
  version int8 NOT NULL,
  name text NOT NULL,
  shape int4 NOT NULL,
  data jsonb NOT NULL,
  metadata jsonb NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  -- How much a reader reads: so a page can be found without reading more than is in it.
  bytes int4 NOT NULL GENERATED ALWAYS AS (octet_length(data::text) + octet_length(metadata::text)) STORED,
  UNIQUE (stream, version)
);

-- Events that are committed and have no position yet.
CREATE TABLE oxcart.event_unordered (
  id int8 PRIMARY KEY
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- The global order. Positions are given to committed events only, one by one, under the lock on `event_head`.
CREATE TABLE oxcart.event_order (
  position int8 PRIMARY KEY,
  id int8 NOT NULL UNIQUE
);

-- One row: the last position that was given.
CREATE TABLE oxcart.event_head (
  position int8 NOT NULL,
  only_one bool PRIMARY KEY DEFAULT true CHECK (only_one)
) WITH (fillfactor = 10);
INSERT INTO oxcart.event_head (position) VALUES (0);

-- Gives positions to at most so many events that have none; how many got one.
CREATE FUNCTION oxcart.order_events(most int4) RETURNS int4 LANGUAGE plpgsql AS $$
DECLARE
  head int8;
  ordered int4;
BEGIN
  IF NOT EXISTS (SELECT FROM oxcart.event_unordered) THEN
    RETURN 0;
  END IF;
  -- One at a time. The statement after it sees what the one before has committed.
  SELECT position INTO head FROM oxcart.event_head FOR UPDATE;
  WITH next AS (
    SELECT id FROM oxcart.event_unordered ORDER BY id LIMIT most
  ), taken AS (
    DELETE FROM oxcart.event_unordered USING next WHERE event_unordered.id = next.id RETURNING event_unordered.id
  )
  INSERT INTO oxcart.event_order (position, id) SELECT head + row_number() OVER (ORDER BY id), id FROM taken;
  GET DIAGNOSTICS ordered = ROW_COUNT;
  UPDATE oxcart.event_head SET position = head + ordered;
  RETURN ordered;
END $$;

-- The state of a stream's aggregate after a version: a shortcut, which may be deleted at any time.
CREATE TABLE oxcart.snapshot (
  stream text PRIMARY KEY,
  version int8 NOT NULL,
  shape int4 NOT NULL,
  state jsonb NOT NULL
);

-- How far a reader has come.
CREATE TABLE oxcart.subscription (
  name text PRIMARY KEY,
  position int8 NOT NULL
) WITH (fillfactor = 50);

-- The tables of a projection: the one that serves, and one that is being built to follow it.
CREATE TABLE oxcart.projection (
  name text NOT NULL,
  serves bool NOT NULL,
  version int4 NOT NULL,
  position int8 NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (name, serves)
) WITH (fillfactor = 50);

INSERT INTO oxcart.migration (version, name) VALUES (4, 'events');
