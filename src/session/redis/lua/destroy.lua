-- Removes a record, also where the server is full; tells whether it was there.
-- KEYS: record. ARGV: time, whose it must be ('' for anyone's).

local head, why = read()
if head then
  local whose = ARGV[2]
  if whose ~= '' and sub(head.client, 1, 1 + #whose) ~= string.char(#whose) .. whose then return 0 end
elseif why ~= SPOILT or ARGV[2] ~= '' then
  return 0
end
redis.call('DEL', key)
return head and 1 or 0
