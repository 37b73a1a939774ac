-- Part of a board, and where it lies.
-- KEYS: scores, order, levels. ARGV: microseconds ('' for the server's), ranks, the present period's from, until (ms), what is to
-- be done outside ('' nothing, 'r' read the clock), verb, of 'page' the offset, of 'around' the member, how many (on either
-- side).
-- Reply: {'clock', ms}, what is wrong with the board, {'nobody'}, or {'page', members in all, offset, members better than the
-- first told, levels better, members level with it, elements and scores in turn}.

local SCORES, ORDER, LEVELS = KEYS[1], KEYS[2], KEYS[3]
local MS = math.floor(micros(ARGV[1]) / 1000)
if ARGV[5] == 'r' and (MS < tonumber(ARGV[3]) or MS >= tonumber(ARGV[4])) then return { 'clock', MS } end
local last, wrong = turn(SCORES, ORDER, LEVELS, ARGV[2])
if not last then return wrong end

local from, count
if ARGV[6] == 'around' then
  local digits = redis.call('HGET', ORDER, ARGV[7])
  local place = digits and redis.call('ZREVRANK', SCORES, digits .. ARGV[7])
  if not place then return { 'nobody' } end
  from = math.max(0, place - tonumber(ARGV[8]))
  count = place + tonumber(ARGV[8]) - from + 1
else
  from, count = tonumber(ARGV[7]), tonumber(ARGV[8])
end

local reply = { 'page', redis.call('ZCARD', SCORES), from, 0, 0, 0 }
if count == 0 then return reply end
local found = redis.call('ZREVRANGE', SCORES, from, from + count - 1, 'WITHSCORES')
if found[2] then
  local better = '(' .. found[2]
  reply[4] = redis.call('ZCOUNT', SCORES, better, '+inf')
  reply[5] = redis.call('ZCOUNT', LEVELS, better, '+inf')
  reply[6] = redis.call('ZCOUNT', SCORES, found[2], found[2])
end
for _, part in ipairs(found) do
  reply[#reply + 1] = part
end
return reply
