-- What is in any of several sets.
-- KEYS: a key for the union, the sets. ARGV: how many members may be told. Reply: how many there are, and those.

local UNION, MOST = KEYS[1], tonumber(ARGV[1])
local size = redis.call('SUNIONSTORE', UNION, unpack(KEYS, 2))
local members = size <= MOST and redis.call('SMEMBERS', UNION) or {}
redis.call('UNLINK', UNION)
return { size, members }
