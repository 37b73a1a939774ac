-- What the scripts of a leaderboard share. A board has, for each of its periods,
--   scores  a sorted set of elements: 14 hex digits and the member. Of equal scores the set has the element with the greater digits
--           higher, so the digits are 2^53 - 1 less the turn in which the score was reached.
--   order   a hash: member to its digits, and under '' the last turn, a colon, and how the board ranks.
--   levels  a sorted set of the scores that anybody has, if the board has dense ranks.
-- A turn is the microsecond, or one more than the last.

local MOST = 2 ^ 53 - 1

local function text(number)
  return string.format('%.0f', number)
end

-- Microseconds: what the caller says, or the server.
local function micros(said)
  if said ~= '' then return tonumber(said) end
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- The last turn of a board; or nil and what is wrong with it: it ranks otherwise than the caller does, or one of its keys is
-- gone. A key of another type is an error here, before anything is written.
local function turn(scores, order, levels, ranks)
  local meta, members = redis.call('HGET', order, ''), redis.call('ZCARD', scores)
  local distinct = ranks:find('d', 1, true) and redis.call('ZCARD', levels)
  if not meta then
    if members > 0 then return nil, { 'lost', order } end
    return 0
  end
  local last, theirs = string.match(meta, '^(%d+):(%a*)$')
  if theirs ~= ranks then return nil, { 'ranks', theirs or '?' } end
  if members == 0 and redis.call('HLEN', order) > 1 then return nil, { 'lost', scores } end
  if members > 0 and distinct == 0 then return nil, { 'lost', levels } end
  return tonumber(last)
end

local function gone(scores, levels, score, dense)
  if dense and redis.call('ZCOUNT', scores, score, score) == 0 then redis.call('ZREM', levels, score) end
end

-- Removes up to `most` of the last, of which there are `over` too many. Tells whom.
local function shorten(scores, order, levels, over, most, dense)
  local dropped = {}
  if over <= 0 then return dropped end
  local last = redis.call('ZRANGE', scores, 0, math.min(over, most) - 1, 'WITHSCORES')
  for at = 1, #last, 2 do
    local member = string.sub(last[at], 15)
    redis.call('ZREM', scores, last[at])
    redis.call('HDEL', order, member)
    gone(scores, levels, last[at + 1], dense)
    dropped[member] = true
  end
  return dropped
end
