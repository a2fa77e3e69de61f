-- The round in which alerts are judged: the field `round` of `alerts`, `<number> <until when, ms>`. Until then no other round begins.
-- All other fields are alerts, `<rule> <queue>`, and none of these names is `round`. What is stored of alerts is gone a day after the last round.
-- needs: whole

local ROUND = 'round'

-- The number of the last round, 0 before the first, and until when it lasts.
function queue.last_round()
  local number, until_ms = string.match(redis.call('HGET', key.alerts, ROUND) or '', '^(%d+) (%d+)$')
  return queue.number(number), queue.number(until_ms)
end

function queue.keep_round(number, every_ms)
  local DAY_MS = 86400000
  redis.call('HSET', key.alerts, ROUND, queue.whole(number) .. ' ' .. queue.whole(now_ms + every_ms))
  redis.call('PEXPIRE', key.alerts, queue.whole(DAY_MS + every_ms))
end
