-- Gives a job back that failed. ARGV: id, attempt, ms until it is due (-1: never), reason, most attempts.
-- Reply: 'back', 'dead' or 'gone', when it is not the caller's.

local ID, WAIT, REASON = ARGV[1], tonumber(ARGV[3]), ARGV[4]
local s = held(ID, ARGV[2])
if not s then return 'gone' end
redis.call('ZREM', CLAIMED, ID)
if WAIT < 0 or s.attempts >= tonumber(ARGV[5]) then
  bury(ID, s, REASON)
  return 'dead'
end
redis.call('HSET', ERRORS, ID, REASON)
if WAIT > 0 then later(ID, now + WAIT) else ready(ID, s) end
return 'back'
