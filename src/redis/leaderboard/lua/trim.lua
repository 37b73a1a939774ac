-- Removes the last of a board until `keep` are left, a bounded number at once.
-- KEYS: scores, order, levels. ARGV: microseconds ('' for the server's), ranks, the present period's from, until (ms), what is to
-- be done outside ('' nothing, 'r' read the clock), keep (-1: not even what is left of a broken board), how many at once.
-- Reply: {'clock', ms}, what is wrong with the board, or {'trimmed', how many, how many are too many still}.

local KEEP, MOST = tonumber(ARGV[6]), tonumber(ARGV[7])
local MS = math.floor(micros(ARGV[1]) / 1000)
if ARGV[5] == 'r' and (MS < tonumber(ARGV[3]) or MS >= tonumber(ARGV[4])) then return { 'clock', MS } end
if KEEP < 0 then
  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
  return { 'trimmed', 0, 0 }
end
local last, wrong = turn(KEYS[1], KEYS[2], KEYS[3], ARGV[2])
if not last then return wrong end
local over = redis.call('ZCARD', KEYS[1]) - KEEP
shorten(KEYS[1], KEYS[2], KEYS[3], over, MOST, string.find(ARGV[2], 'd', 1, true) ~= nil)
return { 'trimmed', math.max(0, math.min(over, MOST)), math.max(0, over - MOST) }
