-- Drafts: messages that are collected in several calls (`stage`) and go out together (`commit`), or not at all.
--
-- `staged` has the messages: `<draft> <n>`, n from 0 -> target, 0 byte, message; and `<draft>` -> `<next> <total>`, and ` sent` behind it
-- once the draft is committed: then what is left of it, from `next` on, goes into the outbox in pages (receive_expand.lua).
-- `drafts` has each draft with the moment (ms) at which it is dropped if it is not committed by then. A draft that was committed is
-- remembered there for as long, so that a call that is repeated because its answer was lost hears that it has run.
-- needs: whole

-- What is known of a draft: { next, total, is_sent }, false if nothing is; and whether it is remembered.
function queue.draft(id)
  local first, total, sent = string.match(redis.call('HGET', key.staged, id) or '', '^(%d+) (%d+)( ?%l*)$')
  local draft = first and { next = tonumber(first), total = tonumber(total), is_sent = sent == ' sent' }
  return draft or false, redis.call('ZSCORE', key.drafts, id) and true or false
end

function queue.save_draft(id, draft)
  local text = queue.whole(draft.next) .. ' ' .. queue.whole(draft.total) .. (draft.is_sent and ' sent' or '')
  redis.call('HSET', key.staged, id, text)
end

function queue.remember_draft(id, keep_ms)
  redis.call('ZADD', key.drafts, queue.whole(now_ms + keep_ms), id)
end

-- Deletes the messages before `before`; and what is known of the draft, if it has no more.
function queue.cut_draft(id, draft, before)
  local fields = {}
  for n = draft.next, before - 1 do
    fields[#fields + 1] = id .. ' ' .. queue.whole(n)
  end
  draft.next = before
  if draft.next >= draft.total then
    fields[#fields + 1] = id
  else
    queue.save_draft(id, draft)
  end
  if #fields > 0 then
    redis.call('HDEL', key.staged, unpack(fields))
  end
end

-- Drops drafts that were not committed in time, up to `limit` messages in all. Returns how many.
function queue.drop_drafts(limit)
  local DRAFTS_AT_MOST = 16
  local dropped = 0
  local over = redis.call('ZRANGEBYSCORE', key.drafts, '-inf', now_text, 'LIMIT', '0', DRAFTS_AT_MOST)
  for _, id in ipairs(over) do
    local draft = queue.draft(id)
    local is_done = not draft or draft.is_sent
    if not is_done and dropped < limit then
      local before = math.min(draft.total, draft.next + limit - dropped)
      dropped = dropped + before - draft.next
      queue.cut_draft(id, draft, before)
      is_done = before == draft.total
    end
    if is_done then
      redis.call('ZREM', key.drafts, id)
    end
  end
  return #over == DRAFTS_AT_MOST and limit or dropped
end
