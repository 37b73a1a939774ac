-- A write that is heard on a channel of the process's own. One that a full server does not refuse.
-- KEYS: table, stamp. ARGV: fresh epoch, ttl of the table, process, number, ms of doubt.

local epoch, _, last = open(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[5]))
redis.call('PEXPIRE', TABLE, math.max(redis.call('PTTL', TABLE), tonumber(ARGV[2])))
redis.call('PUBLISH', STAMP .. ':' .. ARGV[3], 'b ' .. epoch .. ' ' .. text(last) .. ' ' .. ARGV[4])
return server()
