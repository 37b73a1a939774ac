-- What the scripts of a queue share.
-- KEYS: ready, delayed, claimed, dead (sorted sets of ids), jobs (id: its value), state (id: its words), keys (key of
-- deduplication: id), recent (sorted set of keys whose job is over, by when they are forgotten), wake (a list: one word for
-- each who may look), error (id: why it failed last), progress (id: what was said of it), meta.
--
-- A job's state is "priority attempts forget key": how often it was given out, until when (the server's milliseconds) its key is
-- remembered in any case, the key. Ids have 16 digits, so that they are ordered as they are numbered.

local READY, DELAYED, CLAIMED, DEAD, JOBS, STATE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local ONCE, RECENT, WAKE, ERRORS, PROGRESS, META = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local MOST_WAKES, WAKE_MS = 64, 60000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function text(number)
  return string.format('%.0f', number)
end

local function state(id)
  local s = redis.call('HGET', STATE, id)
  if not s then return end
  local priority, attempts, forget, key = string.match(s, '^(%d+) (%d+) (%d+) (.*)$')
  return { priority = tonumber(priority), attempts = tonumber(attempts), forget = tonumber(forget), key = key }
end

local function keep(id, s)
  redis.call('HSET', STATE, id, s.priority .. ' ' .. text(s.attempts) .. ' ' .. text(s.forget) .. ' ' .. s.key)
end

-- Says to one who waits that there is something.
local function wake()
  if redis.call('LLEN', WAKE) < MOST_WAKES then redis.call('RPUSH', WAKE, '1') end
  redis.call('PEXPIRE', WAKE, WAKE_MS)
end

-- Higher priorities first, then older jobs: below 2^53, so exact.
local function ready(id, s)
  redis.call('ZADD', READY, text((255 - s.priority) * 2 ^ 45 + tonumber(id)), id)
  wake()
end

local function later(id, due)
  redis.call('ZADD', DELAYED, text(due), id)
  -- Who waits for something later is to wait for this.
  wake()
end

-- Its key is free, once the time for which it is remembered is over.
local function free(id, s)
  if s.key == '' or redis.call('HGET', ONCE, s.key) ~= id then return end
  if s.forget > now then
    redis.call('ZADD', RECENT, text(s.forget), s.key)
  else
    redis.call('HDEL', ONCE, s.key)
  end
end

local function forget(id)
  redis.call('HDEL', JOBS, id)
  redis.call('HDEL', STATE, id)
  redis.call('HDEL', ERRORS, id)
  redis.call('HDEL', PROGRESS, id)
end

local function bury(id, s, reason)
  redis.call('ZADD', DEAD, text(now), id)
  redis.call('HSET', ERRORS, id, reason)
  redis.call('HDEL', PROGRESS, id)
  free(id, s)
end

-- The job, if it is still in the hands of whom it was given to for the `attempt`-th time.
local function held(id, attempt)
  local s = state(id)
  if s and s.attempts == tonumber(attempt) and redis.call('ZSCORE', CLAIMED, id) then return s end
end
