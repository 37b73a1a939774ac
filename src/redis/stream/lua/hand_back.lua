-- Gives back all that the consumer has, at once to be taken by others, and removes the consumer once it has nothing.
-- ARGV further: ids of what was begun; of the rest this delivery does not count. Reply: how many were given back, how many are left.

local begun = {}
for at = 3, #ARGV do begun[ARGV[at]] = true end
local given = 0
for page = 1, 10 do
  local own = redis.call('XPENDING', LOG, GROUP, '-', '+', 100, ME)
  for _, p in ipairs(own) do
    local id, deliveries = p[1], p[4]
    if fields(id) then
      park(id, now(), begun[id] and deliveries or math.max(0, deliveries - 1))
      given = given + 1
    else
      bury(id, deliveries, 'trimmed before it was settled')
    end
  end
  if #own < 100 then
    redis.call('XGROUP', 'DELCONSUMER', LOG, GROUP, ME)
    return { given, 0 }
  end
end
return { given, 1 }
