-- Takes over what nobody works at: what is to be tried again by now, and what its consumer has not renewed for a while.
-- ARGV further: ms without a renewal, how many at most, the most deliveries, where to look from, whose ('' for anybody's), how many
-- suspects at most: what was given out twice, each time to one who then was not heard of any more.
-- Reply: where to look from next, ms until the next is to be tried again (-1 for none), how many died, then of each
-- that was taken its id, its deliveries, whether it is a suspect, its payload.

local AFTER, COUNT, MOST, FROM, WHOSE = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7]
local suspects = tonumber(ARGV[8])
local PAGE, PAGES = 100, 10
local reply, taken, died = { '-', -1, 0 }, 0, 0

local function take(id, deliveries, suspect)
  local found = fields(id)
  if not found or deliveries >= MOST then
    bury(id, deliveries, found and 'given out ' .. deliveries .. ' times and never settled' or 'trimmed before it was settled')
    died = died + 1
    return
  end
  redis.call('XCLAIM', LOG, GROUP, ME, 0, id, 'RETRYCOUNT', deliveries + 1, 'JUSTID')
  redis.call('ZREM', RETRY, id)
  local payload = false
  for at = 1, #found, 2 do
    if found[at] == 'p' then
      payload = found[at + 1]
      break
    end
  end
  reply[#reply + 1] = id
  reply[#reply + 1] = deliveries + 1
  reply[#reply + 1] = suspect and 1 or 0
  reply[#reply + 1] = payload
  taken = taken + 1
end

if WHOSE == '' then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', RETRY, '-inf', text(now()), 'LIMIT', 0, COUNT)) do
    local whose, deliveries = pending(id)
    if whose == NOBODY then take(id, deliveries) else redis.call('ZREM', RETRY, id) end
  end
end

local at = FROM
for page = 1, PAGES do
  if taken >= COUNT then break end
  local args = { LOG, GROUP, 'IDLE', AFTER, at, '+', PAGE }
  if WHOSE ~= '' then args[#args + 1] = WHOSE end
  local idle = redis.call('XPENDING', unpack(args))
  for _, p in ipairs(idle) do
    if taken >= COUNT then break end
    local id, whose, deliveries = p[1], p[2], p[4]
    local suspect = deliveries > 1 and deliveries < MOST
    if whose == NOBODY and redis.call('ZSCORE', RETRY, id) then
      -- Its time has not come: it is left.
    elseif not suspect then
      take(id, deliveries)
    elseif suspects > 0 then
      suspects = suspects - 1
      take(id, deliveries, true)
    end
    at = '(' .. id
  end
  if #idle < PAGE and taken < COUNT then
    at = '-'
    break
  end
end
reply[1] = at

local next = redis.call('ZRANGE', RETRY, 0, 0, 'WITHSCORES')
if next[2] then reply[2] = math.max(0, tonumber(next[2]) - now()) end
reply[3] = died
return reply
