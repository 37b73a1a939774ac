-- What all scripts of the store share. KEYS[1] is the bucket's table, KEYS[2] its stamp, which also names its channel.
--
-- The table has the fields
--   e  the epoch: a random number, another one whenever the table was lost
--   s  the sequence: counts leases and removals
--   r  the server that counts
--   f  the floor: whatever is older than this sequence was removed
--   p  the sequence of the last removal
--   q  until when (the server's microseconds) what is older than the sequence o is doubted
-- and, for each name (a resource, a tag) that was removed, the sequence at which it was. The stamp is "e:p";
-- there is none while something is doubted, so that nothing is found without a script.

local TABLE, STAMP = KEYS[1], KEYS[2]

-- Which server this is. One that was promoted may have lost the last of what its primary had acknowledged.
local answering
local function server()
  if not answering then
    local info = redis.pcall('INFO', 'server')
    answering = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
  end
  return answering
end

local function text(number)
  return string.format('%.0f', number)
end

local function live(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end

local function say(message)
  redis.call('PUBLISH', STAMP, message)
end

-- Microseconds: more than can be counted in the same time.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Never for less than what they speak of still has to live.
local function stamp(epoch, sequence, ttl)
  redis.call('SET', STAMP, epoch .. ':' .. sequence, 'PX', math.max(redis.call('PTTL', STAMP), ttl))
end

local function begin(epoch, sequence, ttl)
  redis.call('DEL', TABLE)
  redis.call('HSET', TABLE, 'e', epoch, 's', sequence, 'f', sequence, 'p', sequence, 'r', server())
  stamp(epoch, sequence, ttl)
  live(TABLE, ttl)
end

local doubted = false

-- The table's epoch, floor and last removal. A table that is not there begins, at a sequence that is higher than it ever was. For
-- `doubt` milliseconds what was kept before another server took over is not found: who made a removal that the one before had
-- acknowledged, and not handed on, has made it again by then.
local function open(epoch, ttl, doubt)
  local t = redis.call('HMGET', TABLE, 'e', 'f', 'p', 'r', 's', 'q', 'o')
  if not (t[1] and t[2] and t[3]) then
    local sequence = text(now())
    begin(epoch, sequence, ttl)
    return epoch, tonumber(sequence), tonumber(sequence)
  end
  live(TABLE, ttl)
  if t[4] ~= server() then
    -- What the server before this one counted last may not have come here, and must not be counted twice.
    t[6], t[7] = text(now() + doubt * 1000), text(math.max(now(), tonumber(t[5]) + 1))
    redis.call('PEXPIRE', TABLE, redis.call('PTTL', TABLE))
    redis.call('HSET', TABLE, 'r', server(), 's', t[7], 'q', t[6], 'o', t[7])
    redis.call('DEL', STAMP)
  end
  doubted = t[6] and now() < tonumber(t[6])
  if doubted then return t[1], math.max(tonumber(t[2]), tonumber(t[7])), tonumber(t[3]) end
  if t[6] then redis.call('HDEL', TABLE, 'q', 'o') end
  if redis.call('GET', STAMP) ~= t[1] .. ':' .. t[3] then stamp(t[1], t[3], ttl) end
  live(STAMP, ttl)
  return t[1], tonumber(t[2]), tonumber(t[3])
end

-- Whether any of the names was removed after `sequence`.
local function removed(names, sequence)
  for from = 1, #names, 1000 do
    local at = redis.call('HMGET', TABLE, unpack(names, from, math.min(from + 999, #names)))
    for _, value in ipairs(at) do
      if value and tonumber(value) > sequence then return true end
    end
  end
  return false
end

-- Removes `name`, of which the table remembers up to `most`; beyond that it forgets all and removes everything. '*' is everything.
-- By the token its sender knows it again.
local function remove(name, token, most, fresh, ttl, doubt)
  local epoch = open(fresh, ttl, doubt)
  local before = redis.call('HGET', TABLE, 'p')
  local sequence = redis.call('HINCRBY', TABLE, 's', 1)
  local at = text(sequence)
  if name ~= '*' and redis.call('HEXISTS', TABLE, name) == 0 and redis.call('HLEN', TABLE) >= most then name = '*' end
  if name == '*' then
    begin(epoch, at, ttl)
  else
    redis.call('HSET', TABLE, name, at, 'p', at)
    if not doubted then stamp(epoch, at, ttl) end
  end
  say('p ' .. epoch .. ' ' .. before .. ' ' .. at .. ' ' .. token .. ' ' .. name)
  return epoch, sequence
end

-- The fields of a lease: n, its holder's nonce; e and s, the epoch and the sequence at which it was won; r, the server on
-- which; w, somebody waits; v, how many holders in a row vanished. Of one that has ended, for a while: o, its holder's nonce,
-- and d, the word with which it ended.
local function holder(lease)
  return redis.call('HGET', lease, 'n') or ''
end

-- Ends a lease, and tells those who wait for it: f filled, r begin anew, u uncacheable, x failed. The latter two leave nothing to
-- be found, so they are kept for those who do not hear it.
local function finish(lease, entry, word)
  local l = redis.call('HMGET', lease, 'n', 'w')
  redis.call('DEL', lease)
  if not l[2] then return end
  if word == 'u' or word == 'x' then
    redis.call('HSET', lease, 'o', l[1], 'd', word)
    redis.call('PEXPIRE', lease, 2000)
  end
  say(word .. ' ' .. (l[1] or '') .. ' ' .. entry)
end
