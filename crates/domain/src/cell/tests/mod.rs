//! Tests of the planner, by what they hold.

mod commands;
mod components;
mod defects;
mod drift;
mod hazards;
mod invariants;
mod limits;
mod rest;
mod rollouts;
mod steps;
mod swap;
mod table;
mod world;
