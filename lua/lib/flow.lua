-- Flows: jobs that are added together with their children (children.lua), all of them or none. In a call a parent comes before its
-- children. Jobs of a flow that is too large for one call, or lies in several queues, arrive one by one (receive_jobs.lua), and are
-- added as if each were alone.
-- needs: meta, head, whole, children, child_fields
-- rarely: job_name, unique, count, optional

-- Whether a job is of a flow, by its record or by what is sent of it: then no other one replaces it.
function queue.is_of_flow(record)
  return queue.field_of(record, 'parent') or queue.field_of(record, 'children')
end

function queue.is_sent_of_flow(sent)
  return queue.sent_field(sent, 'parent') or queue.sent_field(sent, 'children')
end

-- The flows among the jobs that are to be added: by the position of the first job of each, a list of the positions of all its
-- jobs. Nil if there are none. options[i].waits: the job waits for its children. options.apart: each job is a flow of its own.
-- options.of: all of them are one flow, whose children have this job as their parent, which is there (spawn.lua).
function queue.flows_among(list, n, options)
  local at, root_of, flows = {}, {}, nil
  for i = 1, n do
    local sent = list[n + 1 + i]
    if options[i] and options[i].traits then
      local value, children = queue.sent_field(sent, 'parent'), queue.sent_field(sent, 'children')
      local of_queue, parent = queue.parent_in(value or '')
      local root = options.of and 1 or not options.apart and of_queue == '' and root_of[at[parent]] or children and i
      if root then
        flows = flows or {}
        flows[root] = flows[root] or {}
        table.insert(flows[root], i)
        root_of[i], options[i].waits = root, children and true
      end
    end
    at[list[i + 1]] = i
  end
  if flows then
    -- It fails if another type is there: before anything is written.
    redis.call('HLEN', key.attempts)
  end
  return flows
end

-- Whether every job of a flow can be added. If not, writes for each of them into `met` (duplicate.lua) why not: the one that
-- cannot says so itself, all others name it, behind `!`.
function queue.meet_flow(flow, list, n, known, seen, first, met)
  local ids, keys, refused, why = {}, {}, nil, nil
  for _, i in ipairs(flow) do
    local id, name = list[i + 1], queue.sent_field(list[n + 1 + i], 'unique')
    if known and (known[i] or seen[id] or ids[id]) then
      refused, why = i, ''
    elseif name then
      local owner = not (keys[name] or first[name]) and queue.owner_of_key(name)
      local other = keys[name] or first[name] and list[first[name] + 1] or owner and owner.id
      if other then
        refused, why = i, ':' .. other
        queue.count('duplicates', 1)
      end
    end
    if refused then
      break
    end
    ids[id] = true
    if name then
      keys[name] = id
    end
  end
  for _, i in ipairs(refused and flow or {}) do
    met[i] = queue.whole(i - 1) .. (i == refused and why or '!' .. list[refused + 1])
  end
end

-- Jobs were stored: a list of ids, each followed by the job's record; positions[k] is where job k stands among options (add.lua). Parents know of their
-- children from now on.
function queue.note_children(stored, positions, options)
  local fields, is_new = {}, { [options.of or ''] = true }
  for i = 1, #stored, 2 do
    local id, record = stored[i], stored[i + 1]
    local children = tonumber(queue.field_of(record, 'children') or '')
    if children then
      is_new[id] = true
      fields[#fields + 1] = id
      fields[#fields + 1] = cmsgpack.pack(queue.count_children({ 0, 0, 0, 0 }, children))
      fields[#fields + 1] = id .. '#children'
      local callbacks = options[positions[(i + 1) / 2]].callbacks
      fields[#fields + 1] = queue.counts_text(children, children, callbacks and children)
      if callbacks then
        queue.callback_fields(fields, id, callbacks)
      end
    end
    local of_queue, parent, number = queue.parent_in(queue.field_of(record, 'parent') or '')
    if of_queue and of_queue ~= '' and not meta.far then
      queue.set_meta('far', '1')
    end
    local knows = of_queue == '' and (is_new[parent] or queue.children_of(parent))
    local field = knows and queue.child_field(parent, number)
    if field and (is_new[parent] or redis.call('HEXISTS', key.attempts, field) == 0) then
      fields[#fields + 1] = field
      fields[#fields + 1] = 'open ~ ' .. id .. ' ' .. (queue.name_in(record) or '?') .. ' 0 '
    end
  end
  if #fields > 0 then
    redis.call('HSET', key.attempts, unpack(fields))
    queue.made(key.attempts)
  end
end
