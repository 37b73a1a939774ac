
-- Forgets what was taken. What is not there needs no word; else one is left for as long as the state would have been, by which
-- receipts from before are known. ARGV[1] is the size of a state, or nothing where it has runs.
local key, size = KEYS[1], tonumber(ARGV[1])
local state, expiry, newest, _
if size then
  state = found(key, size)
  if state then _, expiry, _, newest = unpack('<I1I6I7I6', state) end
else
  state, _, _, _, expiry, _, newest = read(key, false)
end
if not state then
  redis.call('DEL', key)
else
  local at = now > newest and now or newest
  if size then
    local head = pack('<I1I6I7I6', VERSION, expiry, at + 1, at)
    write(key, head .. string.rep('\0', size - #head))
  else
    write(key, pack(PIECE, at, 0, VERSION, expiry, at + 1, at, 0, 1, 1))
  end
end
return pack('<I6I1', now, spoilt)
