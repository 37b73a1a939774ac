-- How a group stands.
-- Reply: entries in the log, pending, to be tried again, consumers, dead, not yet given out (-1 when not known), ms since the
-- oldest that is not settled was appended (-1 for none).

local found
for _, group in ipairs(redis.call('EXISTS', LOG) == 1 and redis.call('XINFO', 'GROUPS', LOG) or {}) do
  local g = {}
  for at = 1, #group, 2 do g[group[at]] = group[at + 1] end
  if g.name == GROUP then found = g end
end
local length, dead = redis.call('XLEN', LOG), redis.call('XLEN', DEAD)
if not found then return { length, 0, 0, 0, dead, -1, -1 } end
local lag = found.lag
if not lag then
  -- Before 7.0, and where entries in the middle were deleted.
  local rest = redis.call('XRANGE', LOG, '(' .. found['last-delivered-id'], '+', 'COUNT', 1001)
  lag = #rest <= 1000 and #rest or -1
end
local oldest = -1
if found.pending > 0 then
  local ms = string.match(redis.call('XPENDING', LOG, GROUP)[2], '^(%d+)')
  oldest = math.max(0, now() - tonumber(ms))
end
local consumers = found.consumers
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', LOG, GROUP)) do
  if consumer[2] == NOBODY then consumers = consumers - 1 end
end
return { length, found.pending, redis.call('ZCARD', RETRY), consumers, dead, lag, oldest }
