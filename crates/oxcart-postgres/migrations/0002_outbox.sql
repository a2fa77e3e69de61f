-- The outbox: requests to enqueue a job, which are in the transactions that made them, and then on their way to Redis.
--
-- A row is in `outbox` until a relay takes it. Taking gives it a position in the stream of its queue, and moves it to `outbox_sent`, in one transaction;
-- only then is it sent. The queue in Redis remembers the position of the last row that it has, and takes no position twice. So a relay
-- that sends a row again changes nothing, and what is not known to be sent is sent again.

CREATE TABLE oxcart.outbox (
  queue text NOT NULL,
  id int8 NOT NULL GENERATED ALWAYS AS IDENTITY,
  job bytea NOT NULL,
  job_id text NOT NULL,
  order_key text,
  added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (queue, id)
) WITH (
  -- A row lives for milliseconds: the dead are many, and the table is to stay a few pages.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 1000000
);

-- How far the rows for one queue are.
CREATE TABLE oxcart.outbox_stream (
  queue text PRIMARY KEY,
  -- The last position that was given to a row.
  taken int8 NOT NULL DEFAULT 0,
  -- The position at which the queue in Redis stood when it was last heard of.
  fed int8 NOT NULL DEFAULT 0,
  -- The relay that is at it, so that others do not do the same work. Nothing goes wrong if two of them do.
  held_by uuid,
  held_until timestamptz NOT NULL DEFAULT '-infinity',
  -- Why its rows wait, if they do not get through.
  trouble text,
  trouble_since timestamptz
) WITH (
  fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0
);

-- Rows that were sent, or are being sent, kept for a while in case that Redis loses them. A slot is filled for some time, and emptied as a
-- whole (TRUNCATE) when its time is over: nothing is deleted row by row, so nothing bloats.
CREATE TABLE oxcart.outbox_sent (
  slot int2 NOT NULL,
  queue text NOT NULL,
  position int8 NOT NULL,
  job bytea NOT NULL,
  job_id text NOT NULL,
  order_key text,
  added_at timestamptz NOT NULL,
  PRIMARY KEY (queue, position, slot)
) PARTITION BY LIST (slot);

CREATE TABLE oxcart.outbox_slot (
  slot int2 PRIMARY KEY,
  opened_at timestamptz,
  closed_at timestamptz
);

DO $$
BEGIN
  FOR slot IN 0..7 LOOP
    EXECUTE format(
      'CREATE TABLE oxcart.outbox_sent_%s PARTITION OF oxcart.outbox_sent FOR VALUES IN (%s)
       WITH (autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 1000000)', slot, slot);
    INSERT INTO oxcart.outbox_slot (slot, opened_at) VALUES (slot, CASE slot WHEN 0 THEN now() END);
  END LOOP;
END $$;

-- Rows that cannot be sent: set aside until somebody sends them again, or deletes them.
CREATE TABLE oxcart.outbox_failed (
  id int8 PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  queue text NOT NULL,
  job bytea NOT NULL,
  job_id text NOT NULL,
  order_key text,
  added_at timestamptz NOT NULL,
  failed_at timestamptz NOT NULL DEFAULT now(),
  error text NOT NULL
);

-- Adds rows, in this order, and tells the relays when the transaction is committed: once, however many rows and calls it has.
--
-- Rows with one ordering key get ids in the order in which their transactions are committed: a transaction holds the lock of the key from before it
-- draws the id until it has ended, and locks are released after its rows can be seen. So a transaction that sees a row sees each row of its key with a smaller id.
CREATE FUNCTION oxcart.outbox_add(queues text[], jobs bytea[], job_ids text[], order_keys text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- In the same order in each transaction, so that two calls do not wait for one another.
  PERFORM pg_advisory_xact_lock(locks.key) FROM (
    SELECT DISTINCT hashtextextended('oxcart ' || new.queue || ' ' || new.order_key, 0) AS key
    FROM unnest(queues, order_keys) AS new (queue, order_key) WHERE new.order_key IS NOT NULL ORDER BY key
  ) AS locks;
  INSERT INTO oxcart.outbox (queue, job, job_id, order_key)
  SELECT new.queue, new.job, new.job_id, new.order_key
  FROM unnest(queues, jobs, job_ids, order_keys) WITH ORDINALITY AS new (queue, job, job_id, order_key, number)
  ORDER BY new.number;
  IF current_setting('oxcart.notify', true) IS DISTINCT FROM 'off' THEN
    PERFORM pg_notify('oxcart_outbox', '');
  END IF;
END $$;

-- Makes the next rows ready to be sent: those that the queue does not have, and once it has them all, new ones, which get positions.
-- known: the position at which the queue in Redis stands. Answers up to which position there is something to send, or NULL: another relay is at it, or
-- there is nothing; then the queue is released.
--
-- If less is known than what is noted here, Redis has lost something, or the relay has stalled since it has asked. Then `noted` is answered, and nothing
-- is done. The relay asks once more, and says `is_lost` if it is so.
--
-- The rows themselves are read by `outbox_read`, in another transaction: a relay that freezes while they come holds nothing.
-- The plans are forced: what is known of the size of a table that is empty at one moment and full at the next is always wrong.
-- Forced plans look expensive, and PostgreSQL would compile them at each call, which takes longer than all the rest: hence no JIT.
CREATE FUNCTION oxcart.outbox_take(
  the_queue text, known int8, relay uuid, is_lost bool, hold interval, rows_at_most int4, bytes_at_most int8,
  OUT upto int8, OUT noted int8
)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  stream oxcart.outbox_stream;
  current_slot int2;
  given int8;
BEGIN
  -- A relay that only looks does not lock: the one that is at the queue would find it locked, and take it for another's.
  PERFORM FROM oxcart.outbox_stream AS s WHERE s.queue = the_queue AND s.held_by <> relay AND s.held_until > clock_timestamp();
  IF FOUND THEN
    RETURN;
  END IF;
  SELECT * INTO stream FROM oxcart.outbox_stream AS s WHERE s.queue = the_queue FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    INSERT INTO oxcart.outbox_stream (queue) VALUES (the_queue) ON CONFLICT DO NOTHING;
    SELECT * INTO stream FROM oxcart.outbox_stream AS s WHERE s.queue = the_queue FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      RETURN;
    END IF;
  END IF;
  IF stream.held_by <> relay AND stream.held_until > clock_timestamp() THEN
    RETURN;
  END IF;
  IF known < stream.fed AND NOT is_lost THEN
    noted := stream.fed;
    RETURN;
  END IF;
  -- A database that was set back to an earlier state gives no position twice.
  stream.taken := greatest(stream.taken, known);

  SELECT max(fitting.position) INTO upto FROM (
    SELECT few.position, sum(few.bytes) OVER (ORDER BY few.position) - few.bytes AS before FROM (
      SELECT sent.position, octet_length(sent.job) AS bytes FROM oxcart.outbox_sent AS sent
      WHERE sent.queue = the_queue AND sent.position > known
      ORDER BY sent.position LIMIT rows_at_most
    ) AS few
  ) AS fitting WHERE fitting.before < bytes_at_most;
  IF upto IS NULL THEN
    SELECT slots.slot INTO STRICT current_slot FROM oxcart.outbox_slot AS slots
    WHERE slots.opened_at IS NOT NULL AND slots.closed_at IS NULL;
    -- One statement, which sees the table as it is at one moment: rows that are committed meanwhile go beyond no limit.
    WITH taken AS (
      DELETE FROM oxcart.outbox AS waiting WHERE waiting.queue = the_queue AND waiting.id <= (
        SELECT max(fitting.id) FROM (
          SELECT few.id, sum(few.bytes) OVER (ORDER BY few.id) - few.bytes AS before FROM (
            SELECT first.id, octet_length(first.job) AS bytes FROM oxcart.outbox AS first
            WHERE first.queue = the_queue ORDER BY first.id LIMIT rows_at_most
          ) AS few
        ) AS fitting WHERE fitting.before < bytes_at_most
      ) RETURNING waiting.*
    )
    INSERT INTO oxcart.outbox_sent (slot, queue, position, job, job_id, order_key, added_at)
    SELECT current_slot, the_queue, stream.taken + row_number() OVER (ORDER BY taken.id),
      taken.job, taken.job_id, taken.order_key, taken.added_at
    FROM taken;
    GET DIAGNOSTICS given = ROW_COUNT;
    stream.taken := stream.taken + given;
    upto := CASE WHEN given > 0 THEN stream.taken END;
  END IF;
  UPDATE oxcart.outbox_stream AS s SET
    taken = stream.taken,
    fed = known,
    held_by = CASE WHEN upto IS NOT NULL THEN relay END,
    held_until = CASE WHEN upto IS NULL THEN '-infinity' ELSE clock_timestamp() + hold END,
    trouble = CASE WHEN known > s.fed OR upto IS NULL THEN NULL ELSE s.trouble END,
    trouble_since = CASE WHEN known > s.fed OR upto IS NULL THEN NULL ELSE s.trouble_since END
  WHERE s.queue = the_queue;
END $$;

-- The rows for a queue behind one position, up to another.
CREATE FUNCTION oxcart.outbox_read(the_queue text, after int8, upto int8) RETURNS TABLE (sent_position int8, sent_job bytea)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN QUERY
    SELECT sent.position, sent.job FROM oxcart.outbox_sent AS sent
    WHERE sent.queue = the_queue AND sent.position > after AND sent.position <= upto ORDER BY sent.position;
END $$;

-- The queues for which rows wait.
CREATE FUNCTION oxcart.outbox_queues() RETURNS SETOF text
LANGUAGE sql STABLE SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
  WITH RECURSIVE waiting AS (
    (SELECT first.queue FROM oxcart.outbox AS first ORDER BY first.queue LIMIT 1)
    UNION ALL
    SELECT (SELECT next.queue FROM oxcart.outbox AS next WHERE next.queue > waiting.queue ORDER BY next.queue LIMIT 1)
    FROM waiting WHERE waiting.queue IS NOT NULL
  )
  SELECT waiting.queue FROM waiting WHERE waiting.queue IS NOT NULL
$$;

-- Sets rows aside that a relay has taken and cannot send; answers whether it did. A relay that has stalled has lost its queue to another one, which may
-- have sent them.
CREATE FUNCTION oxcart.outbox_set_aside(the_queue text, relay uuid, positions int8[], errors text[]) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM oxcart.outbox_stream AS stream WHERE stream.queue = the_queue AND stream.held_by = relay FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  WITH bad AS (
    DELETE FROM oxcart.outbox_sent AS sent USING unnest(positions, errors) AS why (position, error)
    WHERE sent.queue = the_queue AND sent.position = why.position
    RETURNING sent.*, why.error
  )
  INSERT INTO oxcart.outbox_failed (queue, job, job_id, order_key, added_at, error)
  SELECT bad.queue, bad.job, bad.job_id, bad.order_key, bad.added_at, bad.error FROM bad ORDER BY bad.position;
  RETURN true;
END $$;

-- Puts rows that were set aside behind those that wait; answers how many.
CREATE FUNCTION oxcart.outbox_retry(failed_ids int8[]) RETURNS int8 LANGUAGE plpgsql AS $$
DECLARE
  queues text[];
  jobs bytea[];
  job_ids text[];
  order_keys text[];
BEGIN
  WITH again AS (DELETE FROM oxcart.outbox_failed AS failed WHERE failed.id = ANY (failed_ids) RETURNING failed.*)
  SELECT array_agg(again.queue ORDER BY again.id), array_agg(again.job ORDER BY again.id),
    array_agg(again.job_id ORDER BY again.id), array_agg(again.order_key ORDER BY again.id)
  INTO queues, jobs, job_ids, order_keys FROM again;
  IF queues IS NOT NULL THEN
    PERFORM oxcart.outbox_add(queues, jobs, job_ids, order_keys);
  END IF;
  RETURN coalesce(cardinality(queues), 0);
END $$;

-- Opens the next slot when this one was filled for a sixth of the time for which rows are kept, and empties slots whose time is over. Any relay may do it at any time.
CREATE FUNCTION oxcart.outbox_rotate(keep interval) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  old oxcart.outbox_slot;
  next int2;
  is_needed bool;
BEGIN
  -- What was committed before the lock is got must be seen, so as not to drop rows that are needed.
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE 'oxcart.outbox_rotate needs a transaction that is READ COMMITTED, not %', upper(current_setting('transaction_isolation'));
  END IF;
  -- One relay at a time.
  IF NOT pg_try_advisory_xact_lock(hashtextextended('oxcart rotate', 0)) THEN
    RETURN;
  END IF;
  FOR old IN SELECT * FROM oxcart.outbox_slot AS slots WHERE slots.closed_at < clock_timestamp() - keep LOOP
    BEGIN
      -- Relays that want rows wait behind this lock. So a transaction that reads the table for long, as a backup does, is waited for once, and shortly.
      SET LOCAL lock_timeout = '50ms';
      EXECUTE format('LOCK TABLE oxcart.outbox_sent_%s IN ACCESS EXCLUSIVE MODE', old.slot);
      SELECT EXISTS (
        SELECT FROM oxcart.outbox_stream AS stream WHERE EXISTS (
          SELECT FROM oxcart.outbox_sent AS sent
          WHERE sent.slot = old.slot AND sent.queue = stream.queue AND sent.position > stream.fed
        )
      ) INTO is_needed;
      IF NOT is_needed THEN
        EXECUTE format('TRUNCATE oxcart.outbox_sent_%s', old.slot);
        UPDATE oxcart.outbox_slot AS slots SET opened_at = NULL, closed_at = NULL WHERE slots.slot = old.slot;
      END IF;
    EXCEPTION WHEN lock_not_available THEN
      EXIT;
    END;
  END LOOP;
  SELECT * INTO old FROM oxcart.outbox_slot AS slots WHERE slots.opened_at IS NOT NULL AND slots.closed_at IS NULL;
  IF old.opened_at < clock_timestamp() - keep / 6 THEN
    SELECT slots.slot INTO next FROM oxcart.outbox_slot AS slots
    WHERE slots.opened_at IS NULL ORDER BY (slots.slot - old.slot + 8) % 8 LIMIT 1;
    -- If none is empty, this one goes on.
    IF FOUND THEN
      UPDATE oxcart.outbox_slot AS slots SET closed_at = clock_timestamp() WHERE slots.slot = old.slot;
      UPDATE oxcart.outbox_slot AS slots SET opened_at = clock_timestamp() WHERE slots.slot = next;
    END IF;
  END IF;
END $$;

-- For a copy of a database that is used beside it, with the same Redis: it goes by another name with the queues, and sends nothing of what the
-- other one sends. Before a relay runs there.
CREATE FUNCTION oxcart.outbox_detach_copy() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE oxcart.installation SET id = gen_random_uuid();
  TRUNCATE oxcart.outbox, oxcart.outbox_sent, oxcart.outbox_stream;
END $$;

INSERT INTO oxcart.migration (version, name) VALUES (2, 'outbox');
