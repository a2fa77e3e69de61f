#!lua flags=allow-oom
-- Cancels jobs. One that waits or is delayed ends as cancelled, and is kept like a job that its handler has cancelled: for its
-- own retention, or for as long as is set for the queue. For one that runs a request is stored (lib/requests.lua), and
-- announced to its worker; the first request stays. A saga (lib/saga.lua) that waits is not ended: it goes in line, to be undone, and is
-- answered with those that run. ARGV[2] is what is stored as the outcome; the ids are ARGV[3..].
-- Answers { 'cancelled' | 'cancelled_sent' (messages were put into the outbox), now_ms, cancelled ids, ids that run or are to be undone,
-- { id, state, .. } of the others that are there }.
-- O(n log N). Harmless when repeated: a job that has ended is left as it is.
-- needs: meta, cancel, emit

local FIRST_ID = 3

local cancelled, running, others = queue.cancel(ARGV, FIRST_ID, ARGV[2])
queue.flush_events()
queue.save_meta()
return { meta.has_sent and 'cancelled_sent' or 'cancelled', now_ms, cancelled, running, others }
