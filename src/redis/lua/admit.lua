-- Adds members to a set that has room for so many.
-- KEYS: the set. ARGV: how many it may have, ms after which it expires ('' never), members.
-- Reply: how many were not in it, and how many found no room.

local SET, MOST, TTL = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local size, new, refused = redis.call('SCARD', SET), 0, 0
for at = 3, #ARGV do
  if size < MOST then
    local added = redis.call('SADD', SET, ARGV[at])
    size, new = size + added, new + added
  elseif redis.call('SISMEMBER', SET, ARGV[at]) == 0 then
    refused = refused + 1
  end
end
if TTL ~= '' and size > 0 and redis.call('PTTL', SET) == -1 then redis.call('PEXPIRE', SET, TTL) end
return { new, refused }
