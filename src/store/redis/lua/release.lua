-- Gives a lease up. KEYS: table, stamp, entry, lease. ARGV: nonce, word, most that may vanish in a row, ms to remember them.

local ENTRY, LEASE = KEYS[3], KEYS[4]
if holder(LEASE) ~= ARGV[1] then return 0 end
local word = ARGV[2]
local vanished = tonumber(redis.call('HGET', LEASE, 'v')) + 1
local waited = redis.call('HGET', LEASE, 'w')
if word == 'r' and waited and vanished >= tonumber(ARGV[3]) then word = 'x' end
finish(LEASE, ENTRY, word)
if word == 'r' and waited then
  redis.call('HSET', LEASE, 'v', vanished)
  redis.call('PEXPIRE', LEASE, ARGV[4])
end
return 1
