-- Removes a job that nobody works at. ARGV: id. Reply: 1, or 0 when there is none, or somebody works at it.

local ID = ARGV[1]
local s = state(ID)
if not s then return 0 end
local found = redis.call('ZREM', READY, ID) + redis.call('ZREM', DELAYED, ID) + redis.call('ZREM', DEAD, ID)
if found == 0 then return 0 end
free(ID, s)
forget(ID)
return 1
