-- Appends a dead letter to the log again. ARGV further: id among the dead. Reply: the new id, or nothing.

local letter = redis.call('XRANGE', DEAD, ARGV[3], ARGV[3])[1]
if not letter or #letter[2] <= 6 then return false end
-- Before them stand what bury() added: id, deliveries, reason.
local id = redis.call('XADD', LOG, '*', unpack(letter[2], 7))
redis.call('XDEL', DEAD, ARGV[3])
return id
