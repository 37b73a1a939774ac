-- Keeps a job for longer. ARGV: id, attempt, ms for which it is the caller's from now on, what is to be said of it ('' for nothing new).
-- Reply: 1, or 0 when it is not the caller's.

local ID = ARGV[1]
if not held(ID, ARGV[2]) then return 0 end
redis.call('ZADD', CLAIMED, text(now + tonumber(ARGV[3])), ID)
if ARGV[4] ~= '' then redis.call('HSET', PROGRESS, ID, ARGV[4]) end
return 1
