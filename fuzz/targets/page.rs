#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bartizan::cache::fuzzing::page::page(data));
