-- Removes a record, also where the server is full.
-- KEYS: record. ARGV: time, whose it must be ('' for anyone's), of which generation ('' for any). Reply: 1 where it was there, 0 where it
-- was not, 2 where it stays, since it is otherwise.

local whose, generation = ARGV[2], ARGV[3]
local head, why = read()
if head then
  if whose ~= '' and sub(head.client, 1, 1 + #whose) ~= string.char(#whose) .. whose then return 2 end
  if generation ~= '' and head.generation ~= tonumber(generation) then return 2 end
elseif why ~= SPOILT or whose ~= '' or generation ~= '' then
  return 0
end
redis.call('DEL', key)
return head and 1 or 0
