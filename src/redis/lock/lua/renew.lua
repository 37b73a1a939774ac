-- Lets the lock live for at least so long from now on. KEYS: holder. ARGV: token, ms. Reply: 1, or 0 if it is not this holder's.

local held = redis.pcall('GET', KEYS[1])
if held ~= ARGV[1] then return 0 end
-- Never shorter: what comes late may have been sent before what came already.
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
