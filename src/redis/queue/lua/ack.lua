-- Removes a job that is done. ARGV: id, attempt. Reply: 1, or 0 when it is not the caller's.

local s = held(ARGV[1], ARGV[2])
if not s then return 0 end
redis.call('ZREM', CLAIMED, ARGV[1])
free(ARGV[1], s)
forget(ARGV[1])
return 1
