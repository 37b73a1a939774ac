-- How many there are. Reply: ready, delayed, claimed, dead.

return {
  redis.call('ZCARD', READY), redis.call('ZCARD', DELAYED), redis.call('ZCARD', CLAIMED), redis.call('ZCARD', DEAD),
}
