
-- Takes whether it remains or not. Replies as a take does.
local _, _, kind, limit, capacity, window, cost, ask = unpack(CLAIM, ARGV[1])
local told
_, told = meters[kind](KEYS[1], limit, capacity, window, cost, ask, ANYHOW)
return pack('<I6I1', now, spoilt) .. told
