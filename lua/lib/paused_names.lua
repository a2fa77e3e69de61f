-- Names whose jobs an operator has paused. meta.paused_names holds them, encoded as keys are (`encode_key` in src/policy), with
-- a space before, between and behind them; it is not there as long as no name is paused. Their jobs are not claimed:
-- set_aside.lua takes them out of the line, `fitting` stops in front of them, and offers.lua and suspects.lua pass them over.
-- needs: meta
-- rarely: job_name

local function escaped(character)
  return string.format('%%%02X', string.byte(character))
end

-- A name, encoded.
function queue.word_of_name(name)
  return (string.gsub(name, '[^!-$&-~]', escaped))
end

function queue.is_paused_word(word)
  return meta.paused_names and string.find(meta.paused_names, ' ' .. word .. ' ', 1, true) ~= nil
end

function queue.is_paused_name(name)
  return queue.is_paused_word(queue.word_of_name(name))
end

-- Whether a name is paused under which a job is kept that was handed back: the name of the job, and for a payload that is newer than
-- the worker knows `#` and the version behind it.
function queue.is_paused_offer(name)
  return queue.is_paused_name(name) or queue.is_paused_name(string.match(name, '^[^#]*'))
end

-- Whether the name of the job with this record is paused.
function queue.is_paused_job(record)
  local name = queue.name_in(record)
  return name and queue.is_paused_name(name)
end

-- Those of the names that are not paused.
function queue.not_paused(names)
  local others = {}
  for _, name in ipairs(names) do
    if not queue.is_paused_offer(name) then
      others[#others + 1] = name
    end
  end
  return others
end
