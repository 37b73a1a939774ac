-- Gives the lock up, and wakes one who waits. KEYS: holder, wake. ARGV: nonce, ms for which the wake-up may be late. Reply: 1, or 0 if it
-- was not this holder's (any more).

local HOLDER, WAKE = KEYS[1], KEYS[2]

local held = redis.pcall('GET', HOLDER)
local is_ours = type(held) == 'string' and string.sub(held, 18) == ARGV[1]
if held and not is_ours then return 0 end
redis.call('DEL', HOLDER)
-- Also where the lock was lost and is nobody's, since those who wait do not know. One is woken, not all. What is no list is none of
-- ours; who waits asks again in any case.
if redis.pcall('LLEN', WAKE) == 0 then
  redis.call('RPUSH', WAKE, '1')
  redis.call('PEXPIRE', WAKE, ARGV[2])
end
return is_ours and 1 or 0
