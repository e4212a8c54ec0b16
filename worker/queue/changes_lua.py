"""The server's side of `worker.queue.changes`: each script is one step, so that no gap is found and then forgotten.

How many entries were ever added, less how many there are, were trimmed; a group that has read fewer has missed some.
What Redis itself counts as read by a group is after trimming a guess, and not the same in all versions; so each step
sets it to what is exact: `XGROUP SETID ... ENTRIESREAD`, which Redis knows from 7.0 on.
"""

TOO_OLD = "STOCKMETA reading changes needs Redis 7.0 or newer, or Valkey"

_LOOK = (
    """
local stream, state, group = KEYS[1], KEYS[2], ARGV[1]

local function named(flat)
  local values = {}
  for i = 1, #flat, 2 do values[flat[i]] = flat[i + 1] end
  return values
end

-- Forgets that anybody caught up. What frees memory comes first: after it a full Redis refuses nothing.
local function missed(reason)
  redis.call('DEL', state)
  redis.call('HSET', state, 'reason', reason)
end

local function find()
  if redis.call('EXISTS', stream) == 0 then return nil end
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local one = named(flat)
    if one.name == group then return one end
  end
end

local function measured()
  local info = named(redis.call('XINFO', 'STREAM', stream))
  if not info['entries-added'] then error('"""
    + TOO_OLD
    + """') end
  return info['entries-added'], info['entries-added'] - info.length, info['last-generated-id']
end

-- Where the group is: how many entries it has read, and the last of them.
local function look()
  local found = find()
  if not found then
    redis.call('XGROUP', 'CREATE', stream, group, '$', 'MKSTREAM')
    local added, _, last = measured()
    redis.call('XGROUP', 'SETID', stream, group, last, 'ENTRIESREAD', added)
    missed('nothing was read for this index so far, or Redis was wiped')
    return added, last
  end
  local _, trimmed = measured()
  local read, last = found['entries-read'], found['last-delivered-id']
  if not read then
    missed('the place up to which changes were read was moved by hand')
    read, last = trimmed, '0-0'
  elseif read < trimmed then
    missed(string.format('%d changes were dropped before they were read', trimmed - read))
    read = trimmed
  else
    return read, last
  end
  redis.call('XGROUP', 'SETID', stream, group, last, 'ENTRIESREAD', read)
  return read, last
end

local function server()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
end
"""
)

MISSED = (
    _LOOK
    + """
look()
local run, seen = server(), redis.call('HGET', state, 'run')
if seen and seen ~= run then missed('Redis began anew, and may have lost the last changes') end
if redis.call('HEXISTS', state, 'caught_up') == 1 then return {} end
local epoch = redis.call('HGET', state, 'epoch')
if not epoch then
  epoch = ARGV[2]
  redis.call('HSET', state, 'epoch', epoch, 'run', run)
end
return {epoch, redis.call('HGET', state, 'reason') or 'Redis does not know that listings were ever compared'}
"""
)
"""ARGV: group, a name for the epoch that begins where none is open. Returns nothing, or the epoch and the reason."""

CAUGHT_UP = (
    _LOOK
    + """
look()
if redis.call('HGET', state, 'epoch') ~= ARGV[2] then return 0 end
redis.call('HDEL', state, 'reason')
redis.call('HSET', state, 'caught_up', '1')
return 1
"""
)
"""ARGV: group, the epoch. Nothing happens where something was missed since the epoch began: that ended it.

A server that began anew is noticed when it is asked next what was missed: the epoch's own is noted.
"""

READ = (
    _LOOK
    + """
local consumer, most, idle, cursor = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local read, last = look()
local entries = {}
if idle ~= '' then
  local claimed = redis.call('XAUTOCLAIM', stream, group, consumer, idle, cursor, 'COUNT', most)
  cursor = claimed[1]
  for _, entry in ipairs(claimed[2]) do entries[#entries + 1] = entry end
  -- Taken from their reader for good, even if it lives: were it to die now, nobody would know of them.
  local dropped = #claimed[3]
  if dropped > 0 then missed(string.format('%d changes were dropped before they were delivered', dropped)) end
  for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    local one = named(flat)
    -- Never one with pending entries: they would go with it.
    if one.name ~= consumer and one.pending == 0 and one.idle > tonumber(ARGV[6]) then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, one.name)
    end
  end
end
if #entries < most then
  local got = redis.call(
    'XREADGROUP', 'GROUP', group, consumer, 'COUNT', most - #entries, 'STREAMS', stream, '>')
  local new = got and got[1][2] or {}
  for _, entry in ipairs(new) do entries[#entries + 1] = entry end
  if #new > 0 then
    last = new[#new][1]
    redis.call('XGROUP', 'SETID', stream, group, last, 'ENTRIESREAD', read + #new)
  end
end
return {cursor, last, entries}
"""
)
"""ARGV: group, consumer, how many; idle milliseconds after which entries are claimed (empty: none are), from where on;
idle milliseconds after which consumers are forgotten. Returns where to claim next, the last entry delivered, entries.
"""

BACKLOG = (
    _LOOK
    + """
local found = find()
if not found then return {} end
local added, trimmed = measured()
local read = math.max(found['entries-read'] or trimmed, trimmed)
local pending = redis.call('XPENDING', stream, group)
local next = redis.call('XRANGE', stream, '(' .. found['last-delivered-id'], '+', 'COUNT', 1)
local oldest = pending[1] > 0 and pending[2] or (next[1] and next[1][1] or '')
local time = redis.call('TIME')
return {added - read + pending[1], oldest, time[1] * 1000 + math.floor(time[2] / 1000)}
"""
)
"""ARGV: group. Returns nothing where there is no group; else how many, the oldest's id, and milliseconds of now."""
