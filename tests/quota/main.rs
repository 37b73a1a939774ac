//! The arithmetic of limits: what each algorithm promises, for random quotas, costs and clocks; against naive models of each.

mod concurrency;
mod extremes;
mod models;
mod play;
mod promises;
mod several;
