-- Keeps a lease. KEYS: lease. ARGV: nonce, lease ms.

if redis.call('HGET', KEYS[1], 'n') ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
