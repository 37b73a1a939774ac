-- Says of what the caller works at that it still does.
-- ARGV further: id and deliveries of each. Reply: the ids of those that are not the caller's any more.

local gone = {}
for at = 3, #ARGV, 2 do
  local id = ARGV[at]
  local whose, deliveries = pending(id)
  if whose ~= ME or deliveries ~= tonumber(ARGV[at + 1]) then
    gone[#gone + 1] = id
  elseif fields(id) then
    redis.call('XCLAIM', LOG, GROUP, ME, 0, id, 'JUSTID')
  end
end
return gone
