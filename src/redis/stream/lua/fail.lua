-- What becomes of a message that failed, if it is still the caller's.
-- ARGV further: id, deliveries, ms until it is tried again (-1 for never), reason. Reply: 'parked', 'dead' or 'gone'.

local ID, DELIVERIES, WAIT, REASON = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local whose, deliveries = pending(ID)
if whose ~= ME or deliveries ~= DELIVERIES then return 'gone' end
if WAIT < 0 or not fields(ID) then
  bury(ID, deliveries, REASON)
  return 'dead'
end
park(ID, now() + WAIT, deliveries)
return 'parked'
