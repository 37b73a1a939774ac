-- What the scripts of a group share. KEYS: log, retry, dead. ARGV[1] is the group, ARGV[2] the consumer.
--
-- What is pending belongs to the consumer it was given to. What is to be tried again later belongs to nobody, a consumer of that name,
-- and has its time (the server's milliseconds) in the sorted set `retry`.

local LOG, RETRY, DEAD = KEYS[1], KEYS[2], KEYS[3]
local GROUP, ME = ARGV[1], ARGV[2]
local NOBODY = '~'

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number)
  return string.format('%.0f', number)
end

-- Who has it, and how often it was given out; nothing once it is settled.
local function pending(id)
  local p = redis.call('XPENDING', LOG, GROUP, id, id, 1)[1]
  if p then return p[2], p[4] end
end

-- Its fields; nothing if it was trimmed or deleted.
local function fields(id)
  local entry = redis.call('XRANGE', LOG, id, id)[1]
  return entry and entry[2]
end

-- Moves it to the dead letters, with all it has.
local function bury(id, deliveries, reason)
  redis.call('XADD', DEAD, '*', 'id', id, 'deliveries', deliveries, 'reason', reason, unpack(fields(id) or {}))
  redis.call('XACK', LOG, GROUP, id)
  redis.call('ZREM', RETRY, id)
end

-- Makes it nobody's, to be given out again at `due`.
local function park(id, due, deliveries)
  redis.call('ZADD', RETRY, text(due), id)
  redis.call('XCLAIM', LOG, GROUP, NOBODY, 0, id, 'RETRYCOUNT', deliveries, 'JUSTID')
end
