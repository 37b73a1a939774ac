-- All of a record.
-- KEYS: record. ARGV: time in milliseconds ('' for the server's). Reply: the time and the fields with their values, or 1 where it is no hash.

local all = redis.pcall('HGETALL', KEYS[1])
if all.err then
  -- Any other failure is raised.
  if not string.find(all.err, 'WRONGTYPE', 1, true) then redis.call('HGETALL', KEYS[1]) end
  return 1
end
if #all == 0 then return false end
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
return { now, all }
