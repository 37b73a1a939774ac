-- Removes consumers that have nothing and have not been heard of for a while: those of processes that are gone.
-- ARGV further: ms for which they have not been heard of. Reply: how many.

local swept = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', LOG, GROUP)) do
  local c = {}
  for at = 1, #consumer, 2 do c[consumer[at]] = consumer[at + 1] end
  if c.pending == 0 and c.idle > tonumber(ARGV[3]) and c.name ~= ME then
    redis.call('XGROUP', 'DELCONSUMER', LOG, GROUP, c.name)
    swept = swept + 1
  end
end
return swept
