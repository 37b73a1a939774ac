-- Gives jobs out: those of the highest priority first, of these the oldest.
-- ARGV: how many at most, ms for which they are the caller's, most attempts.
-- Reply: ms until something comes to be ready (-1 for nothing), then of each its id, attempt, priority, value.

local COUNT, VISIBLE, MOST = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local AT_ONCE = 1000

for _, id in ipairs(redis.call('ZRANGEBYSCORE', CLAIMED, '-inf', text(now), 'LIMIT', 0, AT_ONCE)) do
  local s = state(id)
  if not s then
    redis.call('ZREM', CLAIMED, id)
  elseif s.attempts >= MOST then
    bury(id, s, 'given out ' .. text(s.attempts) .. ' times and never settled')
  else
    ready(id, s)
  end
  redis.call('ZREM', CLAIMED, id)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', DELAYED, '-inf', text(now), 'LIMIT', 0, AT_ONCE)) do
  local s = state(id)
  if s then ready(id, s) end
  redis.call('ZREM', DELAYED, id)
end

local reply = { -1 }
local popped = redis.call('ZPOPMIN', READY, COUNT)
for at = 1, #popped, 2 do
  local id = popped[at]
  local s = state(id)
  local value = redis.call('HGET', JOBS, id)
  if s and value then
    s.attempts = s.attempts + 1
    keep(id, s)
    redis.call('ZADD', CLAIMED, text(now + VISIBLE), id)
    reply[#reply + 1] = id
    reply[#reply + 1] = s.attempts
    reply[#reply + 1] = s.priority
    reply[#reply + 1] = value
  end
end
-- Who is told to look now would find nothing.
if redis.call('ZCARD', READY) == 0 then redis.call('DEL', WAKE) end

for _, set in ipairs({ DELAYED, CLAIMED }) do
  local next = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]
  if next then
    local wait = math.max(0, tonumber(next) - now)
    if reply[1] < 0 or wait < reply[1] then reply[1] = wait end
  end
end
return reply
