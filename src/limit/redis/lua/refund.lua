
-- Gives back what was taken at a moment, when so much was out. Replies as a peek, and how much it was.
local _, _, kind, limit, capacity, window, cost, ask, place = unpack(CLAIM, ARGV[1])
local then_at, level = unpack('<I6I6', ARGV[1], place)
local back = cost > 0 and backs[kind](KEYS[1], limit, window, cost, then_at, level) or 0
spoilt = 0
local told
_, told = meters[kind](KEYS[1], limit, capacity, window, 0, 0, LOOK)
return pack('<I6I1', now, spoilt) .. told .. pack('<I6', back)
