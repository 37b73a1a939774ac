
-- What a take would find. Replies as a take does that was denied.
local told = ''
for number = 1, #KEYS do
  local _, _, kind, limit, capacity, window, cost, ask = unpack(CLAIM, ARGV[1], CLAIM_BYTES * (number - 1) + 1)
  local tells
  _, tells = meters[kind](KEYS[number], limit, capacity, window, cost, ask, LOOK)
  told = told .. tells
end
return pack('<I6I1', now, spoilt) .. told
