//! The arithmetic of limits: what each algorithm promises, for random quotas, costs and clocks; against naive models of each;
//! and a table of cases that the same arithmetic elsewhere can be played against.

mod cases;
mod concurrency;
mod extremes;
mod models;
mod play;
mod promises;
mod several;
mod table;
